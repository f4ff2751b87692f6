import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { catalogInput } from '../../../../src/catalog/input.ts';
import { validateCatalog } from '../../../../src/catalog/validate.ts';
import { acceptedName } from '../../../../src/local/desired/names.ts';
import { type Accepted, readAccepted, writeAccepted } from '../../../../src/local/desired/accepted.ts';
import { serverProblems } from '../../../../src/local/desired/against-server.ts';
import { asRole } from '../../../../src/local/desired/login.ts';
import { debianPackage } from '../../../../src/local/desired/packages.ts';
import { wantedParts } from '../../../../src/local/desired/to-spec.ts';
import { explained } from '../../../../src/core/errors.ts';
import { specFor } from '../../../../src/local/roles.ts';
import { type LocalDir, type LocalState, createState, localDir } from '../../../../src/local/state.ts';
import { parseConnstr } from '../../../../src/pg/connstr.ts';
import { parseControlPlane } from '../../../../src/spec/parse.ts';
import { resolveSpec, setting } from '../../../../src/spec/resolve.ts';
import { accepted, observed } from './support.ts';

let dir: LocalDir;
let state: LocalState;
beforeEach(() => {
  dir = localDir(mkdtempSync(join(tmpdir(), 'desired-')));
  const [postgres, externalHttp, internalHttp, pageserver, safekeeper, controlPlane] = [1, 2, 3, 4, 5, 6];
  state = createState(dir, { postgres, externalHttp, internalHttp, pageserver, safekeeper, controlPlane });
});
afterEach(() => rmSync(dir.root, { recursive: true }));

const wanted = accepted({
  roles: [
    { name: 'web' },
    { name: 'report', createdb: false, connection_limit: 5, valid_until: '2027-01-31 12:00:00Z' },
  ],
  databases: [{ name: 'shop', owner: 'web', locale: 'C.UTF-8' }, { name: 'plain' }],
  extensions: [{ name: 'pg_stat_statements', databases: ['app'] }],
  settings: { Work_Mem: '64MB', max_connections: 50, jit: false, shared_preload_libraries: 'auto_explain' },
});

test('what was accepted is in the spec of every later start, and compute_ctl takes it without a remark', async () => {
  writeAccepted(dir, wanted);
  expect(statSync(join(dir.root, acceptedName)).mode & 0o777).toBe(0o600);
  expect(readAccepted(dir)).toEqual(wanted);
  const { value, notes } = await parseControlPlane(JSON.stringify(specFor(dir, state, state.computeId)));
  expect(notes).toEqual([]);
  const resolved = resolveSpec(value.spec!);
  const { cluster } = resolved.spec;
  expect(cluster.roles.map(({ name }) => name)).toEqual(['app', 'web', 'report']);
  expect(cluster.databases.map(({ name, owner }) => [name, owner])).toEqual([
    ['app', 'app'],
    ['shop', 'web'],
    ['plain', 'app'],
  ]);
  expect(setting(resolved.spec, 'work_mem')).toBe('64MB');
  expect(setting(resolved.spec, 'max_connections')).toBe('50');
  expect(setting(resolved.spec, 'jit')).toBe('off');
  expect(setting(resolved.spec, 'shared_preload_libraries')).toBe('auto_explain,pg_stat_statements');
  const names = (cluster.settings ?? []).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const target = parseConnstr('postgresql://cloud_admin@localhost/postgres');
  const input = catalogInput(resolved, { target, privilegedRole: 'neon_superuser', stage: 'start' });
  expect(validateCatalog(input)).toEqual([]);
});

test('a standby never has less of what it may not have less of than its primary ever had', () => {
  const values = (one: Accepted, standby: boolean): Record<string, string | null> =>
    Object.fromEntries(wantedParts(state, one, standby).settings.map(({ name, value }) => [name, value]));
  const low = accepted({ settings: { max_connections: 40, work_mem: '8MB' } });
  expect(values(low, false)).toEqual({ max_connections: '40', work_mem: '8MB' });
  expect(values(low, true)).toEqual({ max_connections: '100', work_mem: '8MB' });
  const high = accepted({ settings: { max_connections: 500 } }, low);
  const later = accepted({ settings: { work_mem: '4MB' } }, high);
  expect(values(later, false)).toEqual({ work_mem: '4MB' });
  expect(values(later, true)).toEqual({ max_connections: '500', work_mem: '4MB' });
});

test('options are those of CREATE ROLE and CREATE DATABASE; a locale takes template0', () => {
  const { roles, databases } = wantedParts(state, wanted);
  expect(
    roles.find(({ name }) => name === 'report')?.options?.map(({ name, value }) => [name, value]),
  ).toEqual([
    ['nocreatedb', null],
    ['connection limit', '5'],
    ['valid until', '2027-01-31 12:00:00Z'],
  ]);
  expect(
    databases.find(({ name }) => name === 'shop')?.options?.map(({ name, value }) => [name, value]),
  ).toEqual([
    ['template', 'template0'],
    ['locale', 'C.UTF-8'],
  ]);
});

test('app may be given options, and stays what it is otherwise', () => {
  const own = accepted({ roles: [{ name: 'app', connection_limit: 3 }], databases: [{ name: 'app' }] });
  const { roles, databases } = wantedParts(state, own);
  expect(roles).toHaveLength(1);
  expect(roles[0]?.encrypted_password).toBe(state.passwordVerifier);
  expect(roles[0]?.options).toHaveLength(1);
  expect(databases.map(({ name, owner }) => [name, owner])).toEqual([['app', 'app']]);
  expect(own.logins).toEqual({});
});

function thrown(work: () => unknown): string {
  try {
    work();
    return 'nothing';
  } catch (error) {
    return explained(error);
  }
}

test('a damaged copy of what was accepted is an error that names the file', () => {
  writeAccepted(dir, { ...wanted, version: 2 as 1 });
  const path = join(dir.root, acceptedName);
  expect(() => readAccepted(dir)).toThrow(`${path}, which holds`);
  writeFileSync(path, '{ "logins": { "web": "geheim" ');
  const said = thrown(() => readAccepted(dir));
  expect(said).toContain('is damaged: it is not valid JSON');
  expect(said).not.toContain('geheim');
});

test('a role logs in with its own password, to the first database that it owns', () => {
  writeAccepted(dir, wanted);
  const web = asRole(dir, state, 'web');
  expect([web.user, web.database, web.password]).toEqual(['web', 'shop', wanted.logins['web']?.password]);
  expect(asRole(dir, state, 'report').database).toBe('app');
  expect(asRole(dir, state, null)).toBe(state);
  expect(() => asRole(dir, state, 'wbe')).toThrow(
    'there is no role "wbe" from a compute.json (did you mean "web"?)',
  );
});

test('a setting that PostgreSQL does not know, and an extension that is not installed, are named with what helps', () => {
  const one = accepted({ extensions: ['vector', 'hstroe', 'hstore'], settings: { wrok_mem: 1, 'x.y': 1 } });
  const found = serverProblems(one, ['wrok_mem', 'x.y'], observed());
  expect(found.map(({ path, message }) => [path.join('.'), message])).toEqual([
    ['settings.wrok_mem', 'PostgreSQL 17 has no such setting (did you mean "work_mem"?)'],
    [
      'extensions.0',
      'the extension "vector" is not installed on this machine; for Debian\'s PostgreSQL: apt-get install postgresql-17-pgvector (where Debian has none, apt.postgresql.org may)',
    ],
    ['extensions.1', expect.stringContaining('(did you mean "hstore"?)')],
  ]);
});

test.each([
  ['vector', 'postgresql-16-pgvector'],
  ['postgis', 'postgresql-16-postgis-3'],
  ['pg_cron', 'postgresql-16-cron'],
  ['pg_stat_kcache', 'postgresql-16-pg-stat-kcache'],
  ['hstore', 'postgresql-16'],
  ['plpython3u', 'postgresql-plpython3-16'],
])('%s is in the Debian package %s', (extension, name) => {
  expect(debianPackage(extension, 16)).toBe(name);
});
