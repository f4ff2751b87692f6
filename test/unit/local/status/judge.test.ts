import { expect, test } from 'vitest';
import type { Noted, Phase } from '../../../../src/local/phase.ts';
import { calledBranch, calledMain } from '../../../../src/local/status/called.ts';
import type { ComputeFacts, PostgresFacts } from '../../../../src/local/status/compute-facts.ts';
import { type Facts, type Verdict, judge } from '../../../../src/local/status/judge.ts';
import type { ProcessFacts } from '../../../../src/local/status/process-facts.ts';
import { states } from '../../../../src/local/status/schema.ts';
import type { StorageFacts } from '../../../../src/local/status/storage-facts.ts';
import { type LocalState, localDir } from '../../../../src/local/state.ts';

const dir = localDir('/d');
const ports = {
  postgres: 1,
  externalHttp: 2,
  internalHttp: 3,
  pageserver: 4,
  safekeeper: 5,
  controlPlane: 6,
};
const state = { ports } as LocalState;
const size = { bytes: 1, complete: true };
const running = (pid: number, suspended = false): ProcessFacts => ({ pid, since: null, suspended });
const now = Date.parse('2026-01-02T03:00:00Z');
const noted = (phase: Phase, inARow = 0, lastsMs = 0): Noted => ({
  phase,
  since: new Date(now - lastsMs).toISOString(),
  exits: { compute: inARow, storage: 0 },
  inARow,
});
const postgres = (standby: boolean, lsn = '0/3000'): PostgresFacts => ({
  standby,
  lsn,
  replayAge: standby ? 7.5 : null,
  connections: 2,
});

const compute = (name: string, standby: boolean, changes: Partial<ComputeFacts> = {}): ComputeFacts => ({
  name,
  mode: 'replica',
  state,
  dir,
  up: running(10),
  noted: noted('ready'),
  sleep: null,
  ctl: running(11),
  postgres: running(12),
  http: { kind: 'answered', value: { status: 'running', error: null } },
  sql: { kind: 'answered', value: postgres(standby) },
  data: size,
  logs: size,
  ...changes,
});

const told = {
  end_lsn: '0/3000',
  restorable: { from_lsn: '0/2000', to_lsn: '0/3000' },
  base: { number: 1, start_lsn: '0/1000', stop_lsn: '0/2000', postgres_major: 17, taken_at: '' },
  wal_bytes: 1,
  wal_segment_bytes: 1,
  compaction_at_bytes: 1,
  attached: true,
  generation: 1,
  troubles: [],
  disk: null,
};

const storage: StorageFacts = {
  process: running(13),
  http: { kind: 'answered', value: told },
  stored: {},
  unreadable: null,
  bases: size,
  wal: size,
};

const judged = (computes: ComputeFacts[], changes: Partial<Facts> = {}): Verdict =>
  judge({
    ...{ dir, state, called: calledMain(dir), primary: 'main', computes, storage, unreadable: [] },
    nowMs: now,
    ...changes,
  });

const short = ({ state, problems }: Verdict): string =>
  [state, ...problems.map(({ kind, about }) => `${kind} ${about}`)].join(', ');

const off = { ctl: null, postgres: null, http: null, sql: null };
const nothing = { up: null, noted: null, ctl: null, postgres: null, http: null, sql: null };
const none: StorageFacts = { ...storage, process: null, http: null };

const cases: [string, ComputeFacts[], Partial<Facts>, string][] = [
  ['all is well', [compute('main', false), compute('r', true)], {}, 'running'],
  [
    'a replica that does not run is no problem',
    [compute('main', false), compute('r', true, nothing)],
    {},
    'running',
  ],
  ['nothing runs', [compute('main', false, nothing)], { storage: none }, 'stopped'],
  [
    'the first start of compute_ctl is not there yet',
    [compute('main', false, { noted: noted('starting'), ctl: null, postgres: null, http: null, sql: null })],
    { storage: none },
    'starting',
  ],
  [
    'a process of ours that does not listen yet is no trouble while up starts',
    [compute('main', false, { noted: noted('starting'), http: { kind: 'deaf', port: 2 } })],
    { storage: { ...storage, http: { kind: 'deaf', port: 6 } } },
    'starting',
  ],
  [
    'one that does not listen any more is trouble',
    [compute('main', false, { http: { kind: 'deaf', port: 2 } })],
    {},
    'trouble, failed main',
  ],
  [
    'a compute that sleeps is well',
    [compute('main', false, { ...off, noted: noted('asleep') })],
    {},
    'asleep',
  ],
  [
    'a compute that is just being stopped because nobody uses it is well, too',
    [compute('main', false, { noted: noted('asleep'), http: { kind: 'deaf', port: 2 } })],
    {},
    'asleep',
  ],
  ['a wake is a start', [compute('main', false, { ...off, noted: noted('waking') })], {}, 'starting'],
  [
    'a wake that takes too long is trouble',
    [compute('main', false, { ...off, noted: noted('waking', 0, 61_000) })],
    {},
    'trouble, failed main',
  ],
  [
    'a storage that has ended is trouble while the compute sleeps, too',
    [compute('main', false, { ...off, noted: noted('asleep') })],
    { storage: none },
    'trouble, failed storage',
  ],
  [
    'a restart is a start',
    [
      compute('main', false, {
        noted: noted('restarting', 1),
        ctl: null,
        postgres: null,
        http: null,
        sql: null,
      }),
    ],
    {},
    'starting',
  ],
  [
    'a restart that lasts longer than a minute is trouble',
    [
      compute('main', false, {
        noted: noted('restarting', 1, 61_000),
        ctl: null,
        postgres: null,
        http: null,
        sql: null,
      }),
    ],
    {},
    'trouble, failed main',
  ],
  [
    'the third restart in a row is trouble',
    [
      compute('main', false, {
        noted: noted('restarting', 3),
        ctl: null,
        postgres: null,
        http: null,
        sql: null,
      }),
    ],
    {},
    'trouble, failed main',
  ],
  [
    'a stop is no trouble',
    [compute('main', false, { noted: noted('stopping') })],
    { storage: none },
    'stopping',
  ],
  [
    'compute_ctl says that it failed',
    [
      compute('main', false, {
        http: { kind: 'answered', value: { status: 'failed', error: 'why\n\nmore' } },
      }),
    ],
    {},
    'trouble, failed main',
  ],
  [
    'compute_ctl is silent',
    [compute('main', false, { http: { kind: 'silent' } })],
    {},
    'trouble, no_answer main',
  ],
  [
    'Postgres is silent',
    [compute('main', false, { sql: { kind: 'silent' } })],
    {},
    'trouble, no_answer main',
  ],
  ['Postgres is gone', [compute('main', false, { postgres: null, sql: null })], {}, 'trouble, failed main'],
  [
    'Postgres is starting',
    [
      compute('main', false, {
        sql: {
          kind: 'failed',
          reason: '',
          error: Object.assign(new Error('no'), { code: '57P03', severity: 'FATAL' }),
        },
      }),
    ],
    {},
    'starting',
  ],
  [
    'an up that is suspended',
    [compute('main', false, { up: running(10, true) })],
    {},
    'trouble, suspended main',
  ],
  [
    'the storage receives nothing',
    [compute('main', false)],
    { storage: { ...storage, http: { kind: 'answered', value: { ...told, attached: false } } } },
    'trouble, not_receiving storage',
  ],
  [
    'the storage says itself what is wrong',
    [compute('main', false)],
    {
      storage: {
        ...storage,
        http: {
          kind: 'answered',
          value: {
            ...told,
            attached: false,
            troubles: [
              {
                part: 'receiver',
                kind: 'disk_full',
                what: 'w',
                since: 's',
                reason: 'r',
                act: 'a',
                failures: 1,
              },
            ],
          },
        },
      },
    },
    'trouble, storage_trouble storage',
  ],
  [
    'the storage is silent',
    [compute('main', false)],
    { storage: { ...storage, http: { kind: 'silent' } } },
    'trouble, no_answer storage',
  ],
  ['the storage is gone', [compute('main', false)], { storage: none }, 'trouble, failed storage'],
  [
    'the storage and up are gone, and a replica runs on',
    [compute('main', false, nothing), compute('r', true)],
    { storage: none },
    'trouble, no_storage storage',
  ],
  [
    'a promotion that did not end',
    [compute('main', true), compute('r', true)],
    { primary: 'r' },
    'trouble, promotion_incomplete r',
  ],
  ['a promotion that ended', [compute('main', true), compute('r', false)], { primary: 'r' }, 'running'],
  [
    'a replica that was promoted without the storage',
    [compute('main', false), compute('r', false)],
    {},
    'trouble, two_primaries r',
  ],
  [
    'a former primary that writes on',
    [compute('main', false), compute('r', false)],
    { primary: 'r' },
    'trouble, two_primaries main',
  ],
  [
    'the promoted primary is gone',
    [compute('main', true), compute('r', false, nothing)],
    { primary: 'r' },
    'trouble, no_primary r',
  ],
];

test.each(cases)('%s', (_, computes, changes, expected) => {
  const verdict = judged(computes, changes);
  expect(short(verdict)).toBe(expected);
  for (const { message, hint } of verdict.problems) {
    expect(message).not.toBe('');
    expect(hint).toMatch(/\S/);
  }
});

test('the lag is what the storage has and the replica has not replayed, and never negative', () => {
  const replica = (lsn: string): ComputeFacts =>
    compute('r', true, { sql: { kind: 'answered', value: postgres(true, lsn) } });
  const lagOf = (one: ComputeFacts, changes: Partial<Facts> = {}): unknown =>
    judged([compute('main', false), one], changes).computes[1]?.lag;
  expect(lagOf(replica('0/2F00'))).toEqual({ bytes: 0x100, seconds: 7.5 });
  expect(lagOf(replica('0/3000'))).toEqual({ bytes: 0, seconds: 0 });
  expect(lagOf(replica('0/4000'))).toEqual({ bytes: 0, seconds: 0 });
  expect(lagOf(replica('0/2F00'), { storage: none })).toBeNull();
  expect(lagOf({ ...replica('0/2F00'), mode: { atLsn: '0/2F00' } })).toBeNull();
});

test('scripts tell by the exit code: works, does not run, is in trouble', () => {
  const codes = Object.entries(states).map(([name, { exit }]) => `${name} ${exit}`);
  expect(codes.join(', ')).toBe(
    'running 0, asleep 0, starting 3, stopping 3, stopped 3, absent 3, trouble 4',
  );
});

test('a start that copies the data says how far it is', () => {
  const http = { kind: 'answered', value: { status: 'init', error: null } } as const;
  const copying = { bytes: 1024 ** 3, total_bytes: 4 * 1024 ** 3, ms: 4000 };
  const facts = { ...storage, http: { kind: 'answered', value: { ...told, copying } } } as const;
  const { computes } = judged([compute('main', false, { http, noted: noted('waking') })], { storage: facts });
  expect(computes[0]).toMatchObject({
    state: 'starting',
    detail: 'the data directory is copied from the storage: 25 %, 1.0 GB of 4.0 GB, 256.0 MB/s, 12 s left',
  });
});

test('what to do names the directory, and the branch by the name that it has in it', () => {
  const orphan = { up: null, noted: null };
  const hints = (called = calledMain(dir), name = 'main'): string[] =>
    judged([compute(name, false, orphan)], {
      called,
      primary: name,
      storage: { ...storage, process: null, http: null },
    }).problems.map(({ hint }) => hint);
  expect(hints()).toContain(
    'end it with: compute-local stop --dir /d. Then start again: compute-local up --dir /d',
  );
  const branch = calledBranch(localDir('/home'), dir, 'dev');
  expect(hints(branch, 'dev')).toContain(
    'end it with: compute-local stop dev --dir /home. Then start again: compute-local start dev --dir /home',
  );
  expect([branch.token('dev'), branch.token('replica')]).toEqual([
    'compute-local token dev --dir /home',
    'compute-local token replica --dir /d',
  ]);
});
