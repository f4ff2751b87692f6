import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { shellBlocks } from '../support/doc-blocks.ts';
import { pagesWithCommands } from '../support/doc-pages.ts';
import { runPage } from '../support/doc-shell.ts';
import { installedPostgres } from '../support/postgres-versions.ts';

const blocksOf = (file: string): ReturnType<typeof shellBlocks> =>
  shellBlocks(readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8'));

const limitMs = 300_000;

test.each(pagesWithCommands)(
  'every command of %s works as it stands there, and prints what the page says',
  async (file) => {
    const blocks = blocksOf(file);
    expect(blocks.filter(({ how }) => how.kind !== 'not-run')).not.toEqual([]);
    await runPage(blocks);
  },
  limitMs,
);

/** Majors whose client tools are complete. The servers alone come with the tests, their tools from the network. */
const complete = installedPostgres()
  .filter(({ bindir }) => ['pg_dumpall', 'pg_restore'].every((name) => existsSync(join(bindir, name))))
  .map(({ major }) => major);

test.runIf(complete.includes(17))(
  'the backup and the upgrade of docs/operating.md also lead from PostgreSQL 16 to 17',
  async () => {
    await runPage(blocksOf('docs/operating.md'), { 14: 16, 15: 17 });
  },
  limitMs,
);

const block = { line: 1, how: { kind: 'to-its-end' }, prints: null } as const;

test.each([
  [{ ...block, text: 'true; false; true' }, /line 1 ended with 1\b/],
  [{ ...block, text: 'compute-local statu' }, /line 1 ended with 2\b/],
  [{ ...block, text: 'echo 5 orders', prints: '6 orders' }, /did not print, as the page says: 6 orders/],
  [
    { ...block, text: 'true', how: { kind: 'background', until: 'Ready.' } as const },
    /did not print "Ready\."/,
  ],
])('a command of a page that does not do what the page says is reported: %j', async (one, message) => {
  await expect(runPage([one])).rejects.toThrow(message);
});
