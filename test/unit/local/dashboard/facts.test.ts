import { expect, test } from 'vitest';
import type { ComputeStatus } from '../../../../src/client/types.ts';
import { checklist } from '../../../../src/local/dashboard/checklist.ts';
import { detailsOf, notSeen } from '../../../../src/local/dashboard/details.ts';
import { FiguresOf, readMetrics } from '../../../../src/local/dashboard/figures.ts';
import { keptSizes } from '../../../../src/local/dashboard/kept-sizes.ts';
import { ownValue } from '../../../../src/local/dashboard/own-value.ts';
import { withSample } from '../../../../src/local/dashboard/samples.ts';
import type { Accepted } from '../../../../src/local/desired/accepted.ts';
import type { ComputeReport, StatusReport } from '../../../../src/local/status/schema.ts';

const compute = (changes: Partial<ComputeReport>): ComputeReport => ({
  name: 'main',
  role: 'primary',
  state: 'running',
  detail: null,
  up_pid: 10,
  compute_ctl_pid: 11,
  postgres_pid: 12,
  since: null,
  exits: 0,
  ports: { postgres: 1, http: 2, internal_http: 3 },
  lsn: null,
  at_lsn: null,
  lag: null,
  connections: 0,
  sleep: null,
  disk_bytes: 0,
  log_dir: '/d/log',
  ...changes,
});

const reportOf = (computes: ComputeReport[], problems: StatusReport['problems'] = []): StatusReport => ({
  state: problems.length > 0 ? 'trouble' : 'running',
  running: true,
  dir: '/d',
  pid: 10,
  since: null,
  primary: 'main',
  computes,
  storage: {
    state: 'running',
    detail: null,
    pid: 1,
    since: null,
    exits: 0,
    ports: { pageserver: 1, safekeeper: 2, control_plane: 3 },
    attached: true,
  },
  disk: null,
  problems,
});

test('a clock that was set back mixed up the samples: those that lie ahead are left out', () => {
  const at = (time: number) => ({ at: time, computes: {} });
  const samples = [10, 20, 30, 15, 25].reduce<readonly ReturnType<typeof at>[]>(
    (all, time) => withSample(all, at(time)),
    [],
  );
  expect(samples.map((one) => one.at)).toEqual([10, 15, 25]);
  const many = Array.from({ length: 1000 }, (_, time) => at(time));
  expect(withSample(many, at(2000))).toHaveLength(900);
});

test('the checklist says what status judges, the worst first', () => {
  const replica = compute({ name: 'replica', role: 'replica', state: 'no_answer' });
  const fine = checklist(
    reportOf([compute({}), compute({ name: 'old', role: 'view', state: 'stopped' })]),
    {},
  );
  expect(fine).toEqual([
    { state: 'ok', text: 'main (primary) answers', hint: null },
    { state: 'ok', text: 'the storage receives every commit', hint: null },
  ]);
  const problems = [{ kind: 'no_answer', about: 'replica', message: 'no answer', hint: 'end it' }] as const;
  expect(checklist(reportOf([compute({}), replica], [...problems]), {})[0]).toEqual({
    state: 'bad',
    text: 'replica: no answer',
    hint: 'end it',
  });
});

const status = {
  status: 'running',
  error: null,
  last_active: null,
  services: { rsyslog: { state: 'degraded', since: '', error: 'no collector' } },
  failed_databases: [
    {
      name: 'shop',
      error: 'no such owner',
      sqlstate: null,
      hint: 'create it',
      since: 'then',
      failures: 1,
      next_try: null,
    },
  ],
} as unknown as ComputeStatus;

test('of roles and databases the page gets names and states, and never a password', () => {
  const catalog = {
    roles: [
      { name: 'app', encrypted_password: 'SCRAM-SHA-256$hidden', options: null },
      { name: 'pg_monitor', encrypted_password: null, options: null },
    ],
    databases: [{ name: 'app', owner: 'app', options: null, restrict_conn: false, invalid: false }],
  };
  const details = detailsOf('main', status, null, catalog, null);
  expect(details.objects.map(({ kind, name, state }) => [kind, name, state])).toEqual([
    ['database', 'app', 'applied'],
    ['database', 'shop', 'failed'],
    ['role', 'app', 'applied'],
    ['role', 'pg_monitor', 'built in'],
  ]);
  expect(JSON.stringify(details)).not.toContain('hidden');
  expect(details.checks.map(({ state, text, hint }) => [state, text, hint])).toEqual([
    ['bad', 'main: the database "shop" is not as its spec says: no such owner', 'create it'],
    ['wait', 'main: the service rsyslog is degraded: no collector', null],
  ]);
});

test('of each role and database it is said who asked for it, and whether it is there', () => {
  const role = (name: string) => ({ name, encrypted_password: null, options: null });
  const database = (name: string) => ({
    name,
    owner: 'app',
    options: null,
    restrict_conn: false,
    invalid: false,
  });
  const accepted = {
    at: '2026-01-01T00:00:00.000Z',
    roles: [{ name: 'ann' }, { name: 'bob' }],
    databases: [
      { name: 'shop', owner: 'ann' },
      { name: 'later', owner: 'ann' },
    ],
    logins: { ann: { password: 'hidden', verifier: 'hidden' } },
  } as unknown as Accepted;
  const catalog = {
    roles: [role('app'), role('ann'), role('eve'), role('cloud_admin')],
    databases: [database('app'), database('eves'), database('postgres')],
  };
  const { objects } = detailsOf('main', status, null, catalog, accepted);
  expect(objects.map(({ kind, name, state, accepted: at }) => [kind, name, state, at !== null])).toEqual([
    ['database', 'app', 'applied', false],
    ['database', 'eves', 'by hand', false],
    ['database', 'postgres', 'built in', false],
    ['database', 'shop', 'failed', true],
    ['database', 'later', 'missing', true],
    ['role', 'app', 'applied', false],
    ['role', 'ann', 'applied', true],
    ['role', 'eve', 'by hand', false],
    ['role', 'cloud_admin', 'built in', false],
    ['role', 'bob', 'missing', true],
  ]);
  expect(notSeen(accepted).map(({ name, state }) => [name, state])).toContainEqual(['shop', 'unknown']);
  expect(JSON.stringify([objects, notSeen(accepted)])).not.toContain('hidden');
});

test('a node may have the name of what every object has', () => {
  const node = compute({ name: 'constructor', role: 'replica' });
  expect(checklist(reportOf([node]), {}).map(({ text }) => text)).toContain('constructor (replica) answers');
  expect(ownValue<string>({}, 'constructor')).toBeUndefined();
});

const counted = (atMs: number, commits: number) => ({
  atMs,
  values: readMetrics(
    `# TYPE x counter\ncompute_pg_transactions_total{outcome="commit"} ${commits}\ncompute_pg_connections{state="idle"} 2\n`,
  ),
});

test('a rate stays until compute_ctl has counted again, and there is none after a restart', () => {
  const figures = new FiguresOf();
  const commits = (atMs: number, count: number): number | null =>
    figures.next({ connections: 1, lsn: null }, counted(atMs, count)).commits;
  expect(figures.next({ connections: 1, lsn: null }, counted(0, 5))).toMatchObject({
    clients: 1,
    idle: 2,
    active: null,
    commits: null,
    walBytes: null,
  });
  expect(commits(2000, 5)).toBeNull();
  expect(commits(15_000, 35)).toBe(2);
  expect(commits(17_000, 35)).toBe(2);
  expect(commits(46_000, 35)).toBe(0);
  expect(commits(60_000, 65)).toBe(2);
  expect(commits(62_000, 3)).toBeNull();
  expect(commits(77_000, 18)).toBe(1);
  expect(figures.next({ connections: null, lsn: null }, null).commits).toBeNull();
});

test('the WAL that was written is the way from one LSN to the next', () => {
  const figures = new FiguresOf();
  const rate = (lsn: string | null): number | null => figures.next({ connections: 0, lsn }, null).walBytes;
  expect(rate('0/1000')).toBeNull();
  expect(rate('0/2000')).toBeGreaterThan(0);
  expect(rate('0/2000')).toBe(0);
  expect(rate('0/1000')).toBeNull();
  expect(rate(null)).toBeNull();
});

test('a directory is counted anew when some time has passed', async () => {
  let nowMs = 0;
  const counted: string[] = [];
  const count = (path: string) => {
    counted.push(path);
    return Promise.resolve({ bytes: counted.length, complete: true });
  };
  const size = keptSizes(10, count, () => nowMs);
  expect([await size('a'), await size('a'), await size('b')].map(({ bytes }) => bytes)).toEqual([1, 1, 2]);
  nowMs = 10;
  expect((await size('a')).bytes).toBe(3);
  expect(counted).toEqual(['a', 'b', 'a']);
});
