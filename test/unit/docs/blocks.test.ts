import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Tokens, lexer } from 'marked';
import { expect, test } from 'vitest';
import { programs } from '../../../src/config/options/programs.ts';
import { isChecked, isTranscript } from '../../../src/docs/check/facts.ts';
import { readRepository } from '../../../src/docs/check/repository.ts';
import { shellBlocks } from '../../support/doc-blocks.ts';
import { pagesWithCommands } from '../../support/doc-pages.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const pages = [...readRepository(root).files]
  .filter((file) => isChecked(file) && !isTranscript(file) && !file.startsWith('docs/reference/'))
  .map((file) => ({ file, text: readFileSync(`${root}/${file}`, 'utf8') }));

test('every page with commands is among those that run in CI', () => {
  const found = pages.filter(({ text }) => shellBlocks(text).length > 0).map(({ file }) => file);
  expect(new Set(found)).toEqual(new Set(pagesWithCommands));
});

test('no block has commands that do not run', () => {
  const blocks = pages.flatMap(({ file, text }) =>
    lexer(text)
      .filter((token): token is Tokens.Code => token.type === 'code')
      .map(({ lang = '', text: block }) => ({ file, lang, text: block })),
  );
  const ours = programs.flatMap(({ name, commands }) =>
    ['-', ...Object.keys(commands)].map((word) => `${name} ${word}`),
  );
  const starts = [
    '\\$ ',
    '#!',
    'npm (?:run|start|test)',
    'node [\\w./-]+\\.m?js',
    'curl -',
    'psql ',
    ...ours,
  ];
  const isCommand = new RegExp(`^(?:${starts.join('|')})`, 'm');
  const otherShells = new Set(['bash', 'shell', 'zsh', 'console', 'shell-session']);
  expect(blocks.filter(({ lang }) => otherShells.has(lang))).toEqual([]);
  expect(blocks.filter(({ lang, text }) => lang !== 'sh' && isCommand.test(text))).toEqual([]);
});

test('the only commands that CI does not run are those that it is', () => {
  const left = pages.flatMap(({ text }) => shellBlocks(text).filter(({ how }) => how.kind === 'not-run'));
  expect(left.map(({ text }) => text)).toEqual(['npm test']);
});
