import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ComputeError, inline } from '../../../src/core/errors.ts';
import { createLog } from '../../../src/core/log.ts';
import { type RetryTrack, Retries } from '../../../src/core/retries.ts';
import { Secret } from '../../../src/core/secret.ts';
import { checkSafekeepers } from '../../../src/storage/safekeepers.ts';
import { type SyncContext, syncAtShutdown, syncSafekeepers } from '../../../src/storage/sync.ts';
import { freePort, scratchDir } from '../../support/cluster.ts';
import { type FakeStorage, type SafekeeperScript, startFakeSafekeeper } from '../../support/fake-storage.ts';

const never = new AbortController().signal;
const [X, Y] = ['0/169B1D8', '0/169B2A0'];
const good: SafekeeperScript = { flush: X, commit: X };
const fakes: FakeStorage<SafekeeperScript>[] = [];

async function addresses(scripts: readonly (SafekeeperScript | 'down')[]): Promise<string[]> {
  return Promise.all(
    scripts.map(async (script) => {
      if (script === 'down') return `127.0.0.1:${await freePort()}`;
      const fake = await startFakeSafekeeper(script);
      fakes.push(fake);
      return fake.address;
    }),
  );
}

/** More than the 100 ms of production: what is late and what is not must not hang on the load of the machine. */
const answerMs = 600;
const lateMs = 1500;

const ask = (safekeepers: readonly string[], token: Secret | null = null) =>
  checkSafekeepers({ safekeepers, tenantId: 't', timelineId: 'l', token, answerMs }, never);

afterEach(async () => {
  await Promise.all(fakes.splice(0).map((fake) => fake.stop()));
});

describe('over real sockets', () => {
  test.each<[string, readonly (SafekeeperScript | 'down')[], boolean]>([
    ['three agree', [good, good, good], true],
    ['one is down', ['down', good, good], true],
    ['one is silent', [{ ...good, fault: 'silent' }, good, good], true],
    ['one is silent before the log-in', [{ ...good, fault: 'silent-login' }, good, good], true],
    ['one answers after 30 ms, with more WAL', [{ flush: Y, commit: X, delayMs: 30 }, good, good], false],
    ['one answers too late, with more WAL', [{ flush: Y, commit: X, delayMs: lateMs }, good, good], true],
    ['one is down and one too late', ['down', good, { ...good, delayMs: lateMs }], false],
    ['one does not know the timeline', [good, { fault: 'unknown' }, good], true],
    ['nobody knows the timeline', [{ fault: 'unknown' }, { fault: 'unknown' }, { fault: 'unknown' }], false],
    ['all are empty', [{}, {}, {}], true],
    ['one, alone', [good], true],
    ['two, one down', [good, 'down'], false],
    ['four, two down', [good, good, 'down', 'down'], false],
    ['one reports an error', [good, good, { fault: 'error' }], true],
    ['two report errors', [good, { fault: 'error' }, { fault: 'error' }], false],
    ['one closes, one half-closes', [{ fault: 'close' }, good, { fault: 'half-close' }], false],
    ['one speaks another protocol', [{ fault: 'garbage' }, good, good], true],
    ['one leaves a column out', [{ ...good, fault: 'missing-column' }, good], false],
    ['one has NULL', [{ flush: X, commit: null }, good], false],
    ['one has no LSN', [{ flush: X, commit: 'x/y' }, good], false],
  ])('%s', async (_, scripts, synced) => {
    const { verdict, checkMs } = await ask(await addresses(scripts));
    expect(Object.keys(verdict)).toEqual([synced ? 'synced' : 'unknown']);
    expect(checkMs).toBeLessThan(lateMs);
  });
});

test('left to itself it waits 100 ms for each', async () => {
  const safekeepers = await addresses([{ ...good, fault: 'silent' }]);
  const context = { safekeepers, tenantId: 't', timelineId: 'l', token: null };
  const { verdict, checkMs } = await checkSafekeepers(context, never);
  expect(verdict).toEqual({
    unknown: expect.stringContaining('the answer took longer than 100 ms') as string,
  });
  expect(checkMs).toBeGreaterThanOrEqual(99);
});

test('the token is sent when it is asked for, with the ids in the options', async () => {
  const [address = ''] = await addresses([{ ...good, token: 'secret' }]);
  expect((await ask([address], new Secret('secret'))).verdict).toHaveProperty('synced');
  expect((await ask([address], new Secret('wrong'))).verdict).toEqual({
    unknown: expect.stringContaining('JWT authentication error') as string,
  });
  const [login] = fakes[0]?.logins ?? [];
  expect(login?.get('options')).toBe('-c timeline_id=l tenant_id=t');
  expect(login?.get('user')).toBe('no_user');
});

test.each([
  '',
  ':',
  'host:port',
  'g#1:host:5454',
  'host:5454?nonsense=1',
  'a,b:1',
  '127.0.0.1:99999',
  '%zz:1',
])('the malformed address %j is a reason, not a crash', async (address) => {
  expect((await ask([address])).verdict).toEqual({
    unknown: expect.stringMatching(
      /address in safekeeper_connstrings of the spec.*HINT: write it as host:port/,
    ) as string,
  });
});

test('an abort ends the question', async () => {
  const safekeepers = await addresses([{ fault: 'silent' }]);
  const signal = AbortSignal.timeout(20);
  const asking = checkSafekeepers({ safekeepers, tenantId: 't', timelineId: 'l', token: null }, signal);
  await expect(asking).rejects.toThrow('timeout');
});

describe('postgres --sync-safekeepers', () => {
  let dir = '';
  beforeEach(() => {
    dir = scratchDir('sync');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /** A `postgres` that counts its runs in the file `runs` and then does what the script says. */
  function context(
    script: string,
    safekeepers: readonly string[],
    more: Partial<SyncContext> = {},
  ): SyncContext {
    const pgbin = join(dir, 'postgres');
    writeFileSync(pgbin, `#!/bin/sh\necho "$@ $PGDATA $NEON_AUTH_TOKEN" >> ${dir}/runs\n${script}\n`);
    chmodSync(pgbin, 0o755);
    return {
      pgbin,
      cgroup: null,
      pgdata: dir,
      env: { PATH: process.env['PATH'] },
      log: createLog({ format: 'json', level: 'silent' }),
      onStderrLine: () => {},
      knowsSync: () => Promise.resolve(true),
      safekeepers,
      tenantId: 't',
      timelineId: 'l',
      token: new Secret('secret'),
      answerMs,
      ...more,
    };
  }
  const runs = (): string[] => readFileSync(join(dir, 'runs'), 'utf8').trim().split('\n');

  test('it runs when the safekeepers are not in sync, and its LSN counts', async () => {
    const lines: string[] = [];
    const safekeepers = await addresses([{ flush: Y, commit: X }]);
    const onStderrLine = (line: string): unknown => lines.push(line);
    const { lsn, syncMs } = await syncSafekeepers(
      context('echo log >&2; echo " 0/169B2A0"', safekeepers, { onStderrLine }),
      never,
    );
    expect(lsn).toBe(0x169b2a0n);
    expect(syncMs).toBeGreaterThanOrEqual(0);
    expect(lines).toEqual(['log']);
    expect(runs()).toEqual([`--sync-safekeepers ${dir} secret`]);
  });

  test('it does not run when they are', async () => {
    const result = await syncSafekeepers(context('exit 1', await addresses([good])), never);
    expect(result).toMatchObject({ lsn: 0x169b1d8n, syncMs: null });
  });

  test('after a failed run the safekeepers are asked again first', async () => {
    const safekeepers = await addresses([{ fault: 'unknown' }]);
    const [fake] = fakes;
    const syncing = syncSafekeepers(context('echo oops >&2; exit 1', safekeepers), never);
    await expect.poll(() => fake?.commands.length).toBeGreaterThan(0);
    if (fake !== undefined) fake.script = { ...good };
    expect(await syncing).toMatchObject({ lsn: 0x169b1d8n, syncMs: null });
    expect(runs().length).toBeLessThanOrEqual(2);
  });

  test.each([
    ['exit 1', 'exited with non-zero status: exit code 1'],
    ['echo 0/1; exit 1', 'exited with non-zero status'],
    ['kill -9 $$', 'exited with non-zero status: signal SIGKILL'],
    ['echo 0/1; echo 0/1', 'printed "0/1\\n0/1\\n" instead of an LSN'],
    ['true', 'printed "" instead of an LSN'],
    [`printf '\\377'`, 'instead of an LSN'],
    ['trap "" TERM; sleep 60 & wait', 'took longer than 300 ms'],
  ])('the run at shutdown reports a program that does %j', async (script, reason) => {
    const result = await syncAtShutdown(
      context(script, await addresses(['down']), { limits: { shutdownMs: 300 } }),
      never,
    );
    if (!('error' in result)) throw new Error('it succeeded');
    expect(result.error.message).toBe('failed to sync safekeepers');
    expect((result.error.cause as Error).message).toContain(reason);
  });

  test('a program that never ends is killed at every run and the start fails within its limit', async () => {
    const limits = { runMs: 100, totalMs: 500 };
    const syncing = syncSafekeepers(
      context(`echo $$ >> ${dir}/pids; sleep 60`, await addresses(['down']), { limits }),
      never,
    );
    await expect(syncing).rejects.toMatchObject({
      code: 'safekeepers',
      message: 'failed to sync safekeepers',
    });
    for (const pid of readFileSync(join(dir, 'pids'), 'utf8').trim().split('\n')) {
      expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
    }
  });

  test('a missing program fails at once', async () => {
    const missing = context('', await addresses(['down']), { pgbin: '/nowhere/postgres' });
    await expect(syncSafekeepers(missing, never)).rejects.toMatchObject({ code: 'postgres_missing' });
  });

  /** A stock PostgreSQL; the program must not run at all. */
  const stock = (safekeepers: readonly string[], more: Partial<SyncContext> = {}): SyncContext =>
    context('exit 1', safekeepers, { knowsSync: () => Promise.resolve(false), ...more });
  const ran = (): boolean => existsSync(join(dir, 'runs'));

  test.each<[string, readonly (SafekeeperScript | 'down')[], RegExp]>([
    ['a wrong token', [{ ...good, token: 'other' }], /JWT authentication error/],
    ['a wrong token at two of three', [good, { token: 'x' }, { token: 'x' }], /JWT authentication error/],
    ['a PostgreSQL server', [{ fault: 'error', error: { sqlstate: '42601', message: 'syntax' } }], /syntax/],
    ['no such database', [{ fault: 'error', error: { sqlstate: '3D000', message: 'none' } }], /none/],
    ['no rights', [{ fault: 'error', error: { sqlstate: '28000', message: 'pg_hba' } }], /pg_hba/],
  ])('a reason that lasts is the error at once, with any PostgreSQL: %s', async (_, scripts, words) => {
    const safekeepers = await addresses(scripts);
    for (const knows of [true, false]) {
      const given = context('exit 1', safekeepers, { knowsSync: () => Promise.resolve(knows) });
      const error = await syncSafekeepers(given, never).then(
        () => null,
        (reason: unknown) => reason,
      );
      expect([knows, inline(error)]).toEqual([knows, expect.stringMatching(words)]);
      expect(inline(error)).toMatch(/^failed to sync safekeepers: the safekeepers refuse this compute/);
      expect((error as ComputeError).hint).toContain('storage_auth_token');
    }
    expect(ran()).toBe(false);
    for (const { commands } of fakes) expect(commands.length).toBeLessThanOrEqual(2);
  });

  test.each(['bad:x', 'does..not..exist:5454', ''])(
    'the address %j, which cannot work, is the error at once',
    async (address) => {
      const error = await syncSafekeepers(stock([address]), never).then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(inline(error)).toContain('the safekeepers refuse this compute');
      expect(ran()).toBe(false);
    },
  );

  test('a safekeeper that wants TLS is for Postgres to ask, which has settings for that, and else the error at once', async () => {
    const error = { sqlstate: 'XX000', message: 'must connect with TLS' };
    const safekeepers = await addresses([{ fault: 'error', error }]);
    expect(await syncSafekeepers(context('echo 0/169B2A0', safekeepers), never)).toMatchObject({
      lsn: 0x169b2a0n,
    });
    rmSync(join(dir, 'runs'));
    await expect(syncSafekeepers(stock(safekeepers), never)).rejects.toMatchObject({
      cause: { message: expect.stringContaining('must connect with TLS') as string },
    });
    expect(ran()).toBe(false);
  });

  test('a timeline that no safekeeper knows is the error at once where nothing can create it', async () => {
    const safekeepers = await addresses([{ fault: 'unknown' }, { fault: 'unknown' }, good]);
    await expect(syncSafekeepers(stock(safekeepers), never)).rejects.toMatchObject({
      code: 'safekeepers',
      hint: expect.stringContaining('timeline_id') as string,
      cause: { message: expect.stringContaining('the timeline does not exist') as string },
    });
    expect(ran()).toBe(false);
  });

  test('a reason that lasts is the error at once also when it comes after a run of the program', async () => {
    const safekeepers = await addresses([{ flush: Y, commit: X }]);
    const [fake] = fakes;
    const refuse = (): void => {
      if (fake !== undefined) fake.script = { fault: 'error', error: { sqlstate: '28000', message: 'no' } };
    };
    const track: RetryTrack = { begin: () => {}, failed: refuse, end: () => {} };
    await expect(syncSafekeepers(context('exit 1', safekeepers, { track }), never)).rejects.toMatchObject({
      cause: { message: expect.stringContaining('the safekeepers refuse this compute') as string },
    });
    expect(runs().length).toBe(1);
    expect(fake?.logins.length).toBe(2);
  });

  test('a minority that refuses does not keep a compute from starting', async () => {
    const safekeepers = await addresses([good, { token: 'x' }, good]);
    expect(await syncSafekeepers(stock(safekeepers), never)).toMatchObject({ lsn: 0x169b1d8n });
  });

  test('a check that came late is asked again, with more time, and the program does not run', async () => {
    const safekeepers = await addresses([{ ...good, delayMs: 400 }]);
    for (const knows of [true, false]) {
      const given = context('exit 1', safekeepers, {
        knowsSync: () => Promise.resolve(knows),
        answerMs: 150,
        limits: { runMs: 60_000, totalMs: 60_000 },
      });
      expect(await syncSafekeepers(given, never)).toMatchObject({ lsn: 0x169b1d8n, syncMs: null });
    }
    expect(ran()).toBe(false);
  });

  test('safekeepers that come up later are waited for, with a stock PostgreSQL', async () => {
    const safekeepers = await addresses([{ ...good, fault: 'close' }]);
    const [fake] = fakes;
    const retries = new Retries();
    const track = retries.track('safekeepers');
    const syncing = syncSafekeepers(stock(safekeepers, { track, limits: { runMs: 60_000 } }), never);
    await expect.poll(() => fake?.commands.length, { timeout: 20_000 }).toBeGreaterThan(1);
    expect(retries.list()).toMatchObject([
      { what: 'safekeepers', error: expect.stringContaining('0 of 1 safekeepers') as string },
    ]);
    if (fake !== undefined) fake.script = { ...good };
    expect(await syncing).toMatchObject({ lsn: 0x169b1d8n, syncMs: null });
    expect(retries.list()).toEqual([]);
    expect(ran()).toBe(false);
  });

  test('whatever makes the safekeepers be asked again is in /status until the end, and not after it', async () => {
    const retries = new Retries();
    const real = retries.track('safekeepers');
    const seen: number[] = [];
    const track: RetryTrack = {
      ...real,
      failed: (attempt) => {
        real.failed(attempt);
        seen.push(retries.list().length);
      },
    };
    const limits = { runMs: 400, totalMs: 400, shutdownMs: 400 };
    const differing = await addresses([{ flush: Y, commit: X }]);
    const late = await addresses([{ ...good, delayMs: 400 }]);
    const [program, patient] = ['echo 0/169B2A0', { track, limits, answerMs: 150 }];
    const works: (() => Promise<unknown>)[] = [
      () => syncSafekeepers(context(program, differing, { track }), never),
      () => syncAtShutdown(context(program, differing, { track }), never),
      () => syncAtShutdown(context(program, late, { track, answerMs: 150 }), never),
      () => syncSafekeepers(context('exit 1', ['127.0.0.1:1'], { track, limits }), never),
      () => syncSafekeepers(stock(['127.0.0.1:1'], { track, limits }), never),
      () => syncAtShutdown(stock(late, patient), never),
    ];
    for (const [at, work] of works.entries()) {
      seen.length = 0;
      await work().catch(() => {});
      expect([at, seen[0], retries.list()]).toEqual([at, 1, []]);
    }
  });

  test('safekeepers that never come fail the start within its limit, with the last reason', async () => {
    const syncing = syncSafekeepers(stock(await addresses(['down']), { limits: { runMs: 400 } }), never);
    await expect(syncing).rejects.toMatchObject({
      message: 'failed to sync safekeepers',
      cause: {
        message: expect.stringMatching(/not in sync after \d+ checks in 400 ms: .*ECONNREFUSED/) as string,
      },
    });
    expect(ran()).toBe(false);
  });

  test('an abort ends the asking', async () => {
    const safekeepers = await addresses([{ fault: 'close' }]);
    const stop = new AbortController();
    const syncing = syncSafekeepers(stock(safekeepers), stop.signal);
    await expect.poll(() => fakes[0]?.commands.length).toBeGreaterThan(0);
    stop.abort(new Error('enough'));
    await expect(syncing).rejects.toThrow(/enough|abort/);
  });

  test('at shutdown the program does not run where it does not know the option, and what a quorum has is said', async () => {
    const differing = await addresses([{ flush: Y, commit: X }]);
    const found = await syncAtShutdown(stock(differing, { limits: { shutdownMs: 3000 } }), never);
    expect(found).toMatchObject({ error: { message: 'failed to sync safekeepers' }, flushed: 0x169b2a0n });
    // Nothing but a late answer is worth a wait.
    expect(fakes[0]?.logins.length).toBe(1);
    const gone = await syncAtShutdown(stock(await addresses(['down'])), never);
    expect(gone).toMatchObject({ error: { message: 'failed to sync safekeepers' }, flushed: null });
    expect(ran()).toBe(false);
  });
});
