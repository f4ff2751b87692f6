import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Rig, rig } from '../support/compute.ts';
import type { SafekeeperScript } from '../support/fake-storage.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

/** The log of a compute that is stopped while its safekeeper answers so. */
async function stopped(atShutdown: SafekeeperScript): Promise<string> {
  const program = it.start();
  await it.until('running');
  it.safekeeper.script = atShutdown;
  program.kill('SIGTERM');
  // Whatever the safekeepers say, the compute ends, and with the code of Postgres.
  expect(await program.exited(30_000)).toBe(0);
  // A stock PostgreSQL takes the option for a setting without a value.
  expect(program.stderr()).not.toContain('--sync-safekeepers');
  return program.stderr();
}

const end: SafekeeperScript = { flush: 'FF/0', commit: 'FF/0' };

test('a compute that ends while its safekeepers are down says so, and that nothing is lost: it is not an error', async () => {
  const log = await stopped({ ...end, fault: 'close' });
  expect(log).toMatch(
    / WARN the safekeepers did not confirm the end of the WAL at shutdown; no acknowledged commit is lost: failed/,
  );
  expect(log).not.toMatch(/ ERROR /);
});

test('safekeepers that do not agree yet, but have all WAL, are no error either', async () => {
  const log = await stopped({ ...end, commit: 'FE/0' });
  expect(log).toMatch(/ WARN .* at shutdown; nothing is lost: .*commit FE\/0 differs from flush FF\/0/);
  expect(log).not.toMatch(/ ERROR /);
});

test('safekeepers that are in sync at the end are no news but for the LSN', async () => {
  const log = await stopped(end);
  expect(log).toContain(' INFO safekeepers are in sync at FF/0');
  expect(log).not.toMatch(/ERROR|no acknowledged commit/);
});

test('WAL that the compute wrote and the safekeepers have not is an error with both positions', async () => {
  const log = await stopped({ flush: '0/1000000', commit: '0/1000000' });
  expect(log).toMatch(
    / ERROR the safekeepers were not synced at shutdown: the WAL from 0\/1000000 to 0\/[0-9A-F]+ is lost/,
  );
});

test('a token that the safekeepers refuse fails the start at once, in their words', async () => {
  Object.assign(it.safekeeper.script, {
    fault: 'error',
    error: { sqlstate: 'XX000', message: 'JWT authentication error' },
  });
  const program = it.start();
  const { error } = await it.until('failed', 10_000);
  expect(error).toContain('failed to sync safekeepers');
  expect(error).toContain('JWT authentication error');
  expect(await program.exited(30_000)).toBe(1);
  expect(it.safekeeper.commands).toHaveLength(1);
});
