import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { explained } from '../../../src/core/errors.ts';
import { initialise } from '../../../src/local/storage/initialise.ts';
import { findTools } from '../../../src/local/storage/tools.ts';
import { defaultPostgres } from '../../support/postgres-versions.ts';
import { scratchDir } from '../../support/scratch.ts';

const home = scratchDir('initdb-fails');
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('an initdb that the machine lacks something for says what, and what to do, and leaves nothing', async () => {
  const tools = await findTools(defaultPostgres().bindir, null, never);
  const initdb = join(home, 'initdb');
  mkdirSync(join(home, 'storage'), { recursive: true });
  writeFileSync(initdb, '#!/bin/sh\necho "FATAL:  could not create shared memory segment" >&2; exit 1\n', {
    mode: 0o755,
  });
  const sibling = (name: string): string => (name === 'initdb' ? initdb : tools.postgres.sibling(name));
  const failed = initialise(
    {
      storageDir: join(home, 'storage'),
      tenantId: 'a'.repeat(32),
      timelineId: 'b'.repeat(32),
      socketDir: home,
      tools: { ...tools, postgres: { ...tools.postgres, sibling } },
      onProgress: () => {},
    },
    never,
  );
  const said = await failed.catch(explained);
  expect(said).toContain('could not create shared memory segment');
  expect(said).toContain('correct on this machine what initdb names');
  expect(readdirSync(join(home, 'storage', 'a'.repeat(32))).filter((name) => !name.includes('.new'))).toEqual(
    [],
  );
});
