import { expect, test } from 'vitest';
import { missingLine, shellBlocks } from '../../support/doc-blocks.ts';

const fence = (lang: string, text: string): string => `\`\`\`${lang}\n${text}\n\`\`\`\n`;

test('a page gives its sh blocks in their order, each with its line, how it runs and what it prints', () => {
  const page = [
    '# Page',
    '',
    '<!-- in the background until: Ready. -->',
    fence('sh', 'up'),
    fence('text', 'not about a block'),
    fence('sh', 'a\nb'),
    'It prints:',
    '',
    '<!-- it prints -->',
    fence('text', 'c'),
    '<!-- not run: there is no cloud here -->',
    fence('sh', 'cloud'),
  ].join('\n');
  const lineOf = (text: string): number => page.split('\n').indexOf(text) + 1;
  expect(shellBlocks(page)).toEqual([
    { text: 'up', line: lineOf('up'), how: { kind: 'background', until: 'Ready.' }, prints: null },
    { text: 'a\nb', line: lineOf('a'), how: { kind: 'to-its-end' }, prints: 'c' },
    {
      text: 'cloud',
      line: lineOf('cloud'),
      how: { kind: 'not-run', why: 'there is no cloud here' },
      prints: null,
    },
  ]);
});

test.each([
  ['<!-- not run: -->', 'sh'],
  ['<!-- not run -->', 'sh'],
  ['<!-- in the background -->', 'sh'],
  ['<!-- not run: it is long -->', 'text'],
  ['<!-- it prints -->', 'text'],
])('a comment that says nothing about a block, %s above %s, is refused', (comment, lang) => {
  expect(() => shellBlocks(`${comment}\n${fence(lang, 'true')}`)).toThrow(/line 3: /);
});

test('what a page says a command prints must be there in one piece, with … for anything within a line', () => {
  const printed = 'before\nPort 25432 of app\n\nReady.\nafter\n';
  expect(missingLine('Port … of app\n\nReady.', printed)).toBeNull();
  expect(missingLine('Ready.\nafter', printed)).toBeNull();
  expect(missingLine('Port … of db', printed)).toBe('Port … of db');
  expect(missingLine('Port … of app\nReady.', printed)).toBe('Ready.');
  expect(missingLine('Ready', printed)).toBe('Ready');
  expect(missingLine('before.Port', printed)).toBe('before.Port');
});
