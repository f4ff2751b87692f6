import { expect, test } from 'vitest';
import type { ComputeReport, StatusReport } from '../../../../src/local/status/schema.ts';
import { paintFor, plain, statusText } from '../../../../src/local/status/text.ts';

const compute = (changes: Partial<ComputeReport>): ComputeReport => ({
  name: 'main',
  role: 'primary',
  state: 'running',
  detail: null,
  up_pid: 10,
  compute_ctl_pid: 11,
  postgres_pid: 12,
  since: '2026-01-02T03:00:00.000Z',
  exits: 0,
  ports: { postgres: 25_432, http: 3080, internal_http: 3081 },
  lsn: '0/16B3748',
  at_lsn: null,
  lag: null,
  connections: 3,
  sleep: null,
  disk_bytes: 5 * 1024 * 1024,
  log_dir: '/d/log',
  ...changes,
});

const report: StatusReport = {
  state: 'trouble',
  running: false,
  dir: '/d',
  pid: 10,
  since: '2026-01-02T03:00:00.000Z',
  primary: 'main',
  computes: [
    compute({}),
    compute({
      name: 'a-longer-name',
      role: 'replica',
      state: 'no_answer',
      lag: { bytes: 2048, seconds: 90 },
    }),
    compute({
      name: 'past',
      role: 'view',
      state: 'starting',
      detail: 'no answer for 2 s',
      lsn: null,
      at_lsn: '0/1',
      exits: 2,
    }),
  ],
  storage: {
    state: 'running',
    detail: null,
    pid: 13,
    since: null,
    exits: 0,
    ports: { pageserver: 1, safekeeper: 2, control_plane: 3 },
    end_lsn: '0/3',
    restorable: { from_lsn: '0/2', to_lsn: '0/3' },
    base: {
      number: 7,
      start_lsn: '0/1',
      stop_lsn: '0/2',
      postgres_major: 17,
      taken_at: '2026-01-02T02:00:00.000Z',
    },
    wal_bytes: 3 * 1024 * 1024,
    wal_segment_bytes: 1024 * 1024,
    compaction_at_bytes: 256 * 1024 * 1024,
    attached: false,
    generation: 4,
    troubles: [],
    disk: {
      path: '/d/storage',
      total_bytes: 1024 ** 4,
      free_bytes: 2 * 1024 ** 3,
      base_bytes: 1,
      wal_bytes: 1,
      warn_free_bytes: 1024 ** 3,
      stop_free_bytes: 256 * 1024 ** 2,
      level: 'ok',
      fill_bytes_per_second: 1024 ** 2,
      full_in_seconds: 2048,
    },
  },
  disk: {
    total_bytes: 10,
    base_bytes: 4,
    wal_bytes: 3,
    data_bytes: 2,
    prepared_bytes: 0,
    log_bytes: 1,
    complete: false,
    free_bytes: null,
  },
  problems: [
    {
      kind: 'no_answer',
      about: 'a-longer-name',
      message: 'Postgres (pid 12): no answer for 2 s',
      hint: 'do x',
    },
  ],
};

const now = Date.parse('2026-01-02T04:00:05.000Z');

test('the text is aligned, and says what is wrong and what to do about it', () => {
  expect(statusText(report, plain, now)).toBe(`compute-local in /d: trouble; it runs as pid 10 for 1 h

NAME           ROLE     STATE      PORT   HTTP  INTERNAL  PID  LSN        LAG                 SESSIONS  DISK
main           primary  running    25432  3080  3081      12   0/16B3748  -                   3         5.0 MB
a-longer-name  replica  no answer  25432  3080  3081      12   0/16B3748  2.0 kB, 1 min 30 s  3         5.0 MB
past           view     starting   25432  3080  3081      12   0/1        -                   3         5.0 MB
  past: no answer for 2 s
  past: has ended and was started again 2 times since its up began

Storage  running, pid 13, receives no WAL
  Restorable   0/2 to 0/3 (compute-local up --at-lsn)
  Base backup  number 7 of PostgreSQL 17, 2 h ago (2026-01-02 02:00:00 UTC)
  WAL since    3.0 MB; the next one is taken at 256.0 MB
  Ports        pageserver 1, safekeeper 2, control plane 3

Disk     at least 10 B: base backups 4 B, WAL 3 B, data directories 2 B, logs 1 B
  2.0 GB of 1.0 TB free; at 1.0 MB a second it is full in 34 min 8 s; warning below 1.0 GB, writes stop below 256.0 MB

Problems
  a-longer-name: Postgres (pid 12): no answer for 2 s
    What to do: do x
`);
});

test('colours are for terminals only, and change nothing but colours', () => {
  const terminal = { isTTY: true };
  for (const [out, env] of [
    [{}, {}],
    [terminal, { NO_COLOR: '1' }],
    [terminal, { TERM: 'dumb' }],
  ] as const)
    expect(statusText(report, paintFor(out, env), now)).toBe(statusText(report, plain, now));
  const coloured = statusText(report, paintFor(terminal, { NO_COLOR: '' }), now);
  expect(coloured).toContain('\u001B[31mno answer');
  // eslint-disable-next-line no-control-regex
  expect(coloured.replaceAll(/\u001B\[\d+m/g, '')).toBe(statusText(report, plain, now));
});

test('each range that can be restored has a line of its own', () => {
  const restorable_ranges = [
    { from_lsn: '0/2', from_time: '2026-01-02T02:00:00.000Z', to_lsn: '0/3' },
    { from_lsn: '0/5', from_time: '2026-01-02T02:30:00.000Z', to_lsn: '0/6' },
  ];
  const storage = { ...report.storage, restorable: { from_lsn: '0/2', to_lsn: '0/6' }, restorable_ranges };
  const text = statusText({ ...report, storage } as StatusReport, plain, now);
  expect(text.split('\n').slice(10, 13)).toEqual([
    '  Restorable   0/2 (2026-01-02 02:00:00 UTC) to 0/3',
    '               and 0/5 (2026-01-02 02:30:00 UTC) to 0/6 (compute-local up --at-lsn)',
    '  Base backup  number 7 of PostgreSQL 17, 2 h ago (2026-01-02 02:00:00 UTC)',
  ]);
});

test('what starts it is named with its directory', () => {
  const stopped: StatusReport = { ...report, state: 'stopped', pid: null };
  expect(statusText(stopped, plain, now)).toMatch(
    /^.*: not running\. Start it with: compute-local up --dir \/d\n/,
  );
  expect(statusText(stopped, plain, now, 'compute-local start dev')).toMatch(
    /^.*Start it with: compute-local start dev\n/,
  );
});
