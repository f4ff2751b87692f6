import { describe, expect, test } from 'vitest';
import { formerRoles, withoutDropped } from '../../../../src/local/desired/accepted.ts';
import { changeText } from '../../../../src/local/desired/change.ts';
import { diff } from '../../../../src/local/desired/diff.ts';
import { outcomesOf, outcomesOfRefusal, overridden } from '../../../../src/local/desired/outcome.ts';
import { accepted, linesOf, observed, role } from './support.ts';

const texts = (...given: Parameters<typeof diff>): string[] => diff(...given).changes.map(changeText);

test('what is new is created, and what takes a restart says so', () => {
  const wanted = accepted({
    roles: [{ name: 'web' }],
    databases: [{ name: 'shop', owner: 'web' }],
    extensions: ['hstore', { name: 'pg_stat_statements', databases: ['app'] }],
    settings: { work_mem: '64MB', max_connections: 50 },
  });
  expect(texts(wanted, null, observed())).toEqual([
    '+ role "web"',
    '+ database "shop": owner web',
    '~ setting work_mem: 4MB -> 64MB',
    '~ setting max_connections: 100 -> 50 (takes effect at the next start of Postgres)',
    '~ setting shared_preload_libraries: "" -> pg_stat_statements (takes effect at the next start of Postgres)',
    '+ extension "hstore" in database "app": 1.8',
    '+ extension "hstore" in database "shop": 1.8',
    '+ extension "pg_stat_statements" in database "app"',
  ]);
});

test('nothing is to be done where everything is as wanted', () => {
  const wanted = accepted({
    roles: [{ name: 'web', connection_limit: 5, valid_until: '2027-01-01' }],
    databases: [{ name: 'shop', owner: 'web' }],
    extensions: ['hstore'],
    settings: { work_mem: '64MB' },
  });
  const now = observed({
    roles: new Map([
      [
        'web',
        role({
          connection_limit: 5,
          validUntil: Date.UTC(2027, 0, 1),
          verifier: wanted.logins['web']?.verifier ?? null,
        }),
      ],
    ]),
    databases: new Map([
      ['app', 'app'],
      ['shop', 'web'],
    ]),
    extensions: new Map([
      ['app', new Map([['hstore', '1.7']])],
      ['shop', new Map([['hstore', '1.8']])],
    ]),
    lines: linesOf({ work_mem: '64MB' }),
  });
  expect(diff(wanted, wanted, now)).toEqual({ changes: [], left: [] });
});

test('attributes, a password that somebody changed, an owner and a version are changed', () => {
  const wanted = accepted({
    roles: [{ name: 'web', createdb: false, connection_limit: 5, valid_until: 'infinity' }],
    databases: [{ name: 'shop', owner: 'web' }],
    extensions: [{ name: 'hstore', version: '1.8', databases: ['app'] }],
  });
  const now = observed({
    roles: new Map([['web', role({ verifier: 'another' })]]),
    databases: new Map([
      ['app', 'app'],
      ['shop', 'app'],
    ]),
    extensions: new Map([['app', new Map([['hstore', '1.7']])]]),
  });
  expect(texts(wanted, wanted, now)).toEqual([
    '~ role "web": password, createdb, connection_limit, valid_until',
    '~ database "shop": owner app -> web',
    '~ extension "hstore" in database "app": version 1.7 -> 1.8',
  ]);
});

test('a setting that is no longer given goes back to its default, and one that waits for a start says so', () => {
  const before = accepted({ settings: { work_mem: '64MB', max_connections: 50 } });
  const wanted = accepted({}, before);
  expect(texts(wanted, before, observed())).toEqual([
    '- setting work_mem: 64MB -> default',
    '- setting max_connections: 50 -> default (takes effect at the next start of Postgres)',
  ]);
  const pending = { setting: '50', unit: null, atStart: true, pendingRestart: true };
  // Since a promotion; it is not the user's.
  const own = ['hot_standby', pending] as const;
  const now = observed({ settings: new Map([['max_connections', pending], own]) });
  expect(texts(wanted, wanted, now)).toEqual([
    '! setting max_connections (takes effect at the next start of Postgres)',
  ]);
});

test('without a running Postgres the difference is that from what was accepted last', () => {
  const before = accepted({ roles: [{ name: 'web' }], settings: { work_mem: '8MB' } });
  const wanted = accepted(
    { roles: [{ name: 'web', createdb: false }, { name: 'new' }], settings: { work_mem: '16MB' } },
    before,
  );
  expect(texts(wanted, before, null)).toEqual([
    '~ role "web": attributes',
    '+ role "new"',
    '~ setting work_mem: 8MB -> 16MB',
  ]);
});

describe('what is no longer named', () => {
  const before = accepted({ roles: [{ name: 'web' }], databases: [{ name: 'shop', owner: 'web' }] });
  const wanted = accepted({}, before);

  test('stays, is remembered, and keeps its password for when it is named again', () => {
    expect(diff(wanted, before, null).left).toEqual([
      { kind: 'database', name: 'shop' },
      { kind: 'role', name: 'web' },
    ]);
    const again = accepted({ roles: [{ name: 'web' }] }, accepted({}, wanted));
    expect(again.logins['web']).toEqual(before.logins['web']);
    expect(formerRoles(again)).toEqual([]);
  });

  test('is not mentioned when somebody else has dropped it, and is forgotten when we have', () => {
    expect(diff(wanted, before, observed()).left).toEqual([]);
    const dropped = [{ kind: 'database', name: 'shop' } as const, { kind: 'role', name: 'web' } as const];
    const after = withoutDropped(wanted, dropped);
    expect(after.formerDatabases).toEqual([]);
    expect(after.logins).toEqual({});
  });
});

test('a role whose name every object has as a member gets a password of its own', () => {
  const wanted = accepted({ roles: [{ name: 'constructor' }, { name: 'web' }] });
  expect(wanted.logins['constructor']?.password).toHaveLength(32);
  expect(wanted.logins['constructor']?.password).not.toBe(wanted.logins['web']?.password);
});

test('each object has its own outcome', () => {
  const { changes } = diff(
    accepted({ roles: [{ name: 'web' }], extensions: ['hstore'], settings: { max_connections: 50 } }),
    null,
    observed(),
  );
  const [, setting, extension] = changes;
  const after = [{ ...setting!, action: 'restart' as const }];
  const failures = new Map([['["extension","hstore","app"]', { reason: 'why', hint: null }]]);
  expect(outcomesOf(changes, after, failures, new Set()).map(({ result }) => result)).toEqual([
    'applied',
    'waits',
    'failed',
  ]);
  expect(extension?.name).toBe('hstore');
});

test('a refusal belongs to the objects that it names', () => {
  const { changes } = diff(
    accepted({ roles: [{ name: 'web' }], databases: [{ name: 'bad' }], settings: { work_mem: '1MB' } }),
    null,
    observed(),
  );
  const reason = 'database "bad": create failed: work_memory';
  const results = outcomesOfRefusal(changes, changes.slice(1), { reason, hint: 'do' });
  expect(results.map(({ result, reason: why }) => [result, why])).toEqual([
    ['applied', null],
    ['failed', reason],
    ['failed', 'not done, since another one failed'],
  ]);
});

describe('a plan that said that there was nothing to do', () => {
  test('app goes back to its owner when the file no longer gives it to another role', () => {
    const before = accepted({ roles: [{ name: 'web' }], databases: [{ name: 'app', owner: 'web' }] });
    const wanted = accepted({ roles: [{ name: 'web' }] }, before);
    const { verifier = null } = before.logins['web'] ?? {};
    const now = observed({
      databases: new Map([['app', 'web']]),
      roles: new Map([['web', role({ verifier })]]),
    });
    expect(texts(wanted, before, now)).toEqual(['~ database "app": owner web -> app']);
    expect(texts(wanted, before, null)).toEqual(['~ database "app": owner web -> app']);
    expect(texts(before, wanted, null)).toEqual(['~ database "app": owner app -> web']);
    expect(texts(accepted({}), null, null)).toEqual([]);
  });

  test('a setting that was accepted, and is not in the files of the server', () => {
    const wanted = accepted({ settings: { work_mem: '64MB', max_connections: 50 } });
    const now = observed({ lines: linesOf({ max_connections: '100' }) });
    expect(texts(wanted, wanted, now)).toEqual([
      '~ setting work_mem: 4MB -> 64MB',
      '~ setting max_connections: 100 -> 50 (takes effect at the next start of Postgres)',
    ]);
  });

  test('a setting that stands in the files, and is not accepted for the next start yet', () => {
    const wanted = accepted({ settings: { max_connections: 100 } });
    const now = observed({ lines: linesOf({ max_connections: '100' }) });
    expect(texts(wanted, null, now)).toEqual([
      '~ setting max_connections: 100 (takes effect at the next start of Postgres)',
    ]);
    expect(texts(wanted, wanted, now)).toEqual([]);
  });
});

test('a setting that ALTER SYSTEM overrides has failed, with the way to take that back', () => {
  const wanted = accepted({ settings: { work_mem: '64MB' } });
  const lines = new Map([['work_mem', { value: '1MB', bySystem: true }]]);
  const { changes } = diff(wanted, wanted, observed({ lines }));
  const failures = new Map(overridden(changes, lines, 'psql'));
  expect(outcomesOf(changes, changes, failures, new Set())).toMatchObject([
    {
      name: 'work_mem',
      result: 'failed',
      reason: 'ALTER SYSTEM has set it to "1MB", which counts more',
      hint: "psql -c 'alter system reset work_mem', then apply again",
    },
  ]);
});

test('names of others reach a terminal with their control characters escaped', () => {
  const wanted = accepted({ databases: [{ name: 'shop' }] });
  const evil = 'x\u001b[2J\u009b1m\u202e\n~ role "app"';
  const now = observed({
    databases: new Map([
      ['app', 'app'],
      ['shop', evil],
    ]),
  });
  expect(texts(wanted, wanted, now)).toEqual([
    String.raw`~ database "shop": owner x\u{1b}[2J\u{9b}1m\u{202e}\u{a}~ role "app" -> app`,
  ]);
});
