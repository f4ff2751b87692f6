import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { shellBlocks } from '../support/doc-blocks.ts';
import { runPage } from '../support/doc-shell.ts';

const read = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8');

const limitMs = 300_000;

test.each(['README.md', 'docs/operating.md', 'examples/README.md'])(
  'every command of %s works as it stands there, and prints what the page says',
  async (file) => {
    const blocks = shellBlocks(read(file));
    expect(blocks.filter(({ how }) => how.kind !== 'not-run')).not.toEqual([]);
    await runPage(blocks);
  },
  limitMs,
);
