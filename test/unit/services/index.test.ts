import { parse } from 'valibot';
import { expect, test } from 'vitest';
import { confLines, services } from '../../../src/services/index.ts';
import type { Settings } from '../../../src/services/settings.ts';
import { assertServable } from '../../../src/services/unbuilt.ts';
import { type ResolvedSpec, resolveSpec } from '../../../src/spec/resolve.ts';
import { computeSpecSchema } from '../../../src/spec/schema.ts';

const spec = (changes: object): ResolvedSpec =>
  resolveSpec(
    parse(computeSpecSchema, {
      format_version: 1,
      suspend_timeout_seconds: 0,
      tenant_id: '3aa8fcc61f6d357410b7de754b1d9001',
      timeline_id: '641e5342083b2235ee3deb8066819683',
      pageserver_connstring: 'postgresql://no_user@127.0.0.1:1',
      safekeeper_connstrings: ['127.0.0.1:2'],
      cluster: { roles: [], databases: [], settings: [] },
      ...changes,
    }),
  );

const nothing = { scaling: null, resizeSwap: false, quotaMountpoint: null, informant: null };
const settings = { vm: nothing, storageStatus: null } as unknown as Settings;

const wantedBy = (changes: object): string[] =>
  services.filter((one) => one.wants(spec(changes), settings) !== null).map(({ name }) => name);

test('the names of the services are unique', () => {
  const names = services.map(({ name }) => name);
  expect([...new Set(names)]).toEqual(names);
});

test('audit levels and logs_export_host write no line of postgresql.conf while their service is not built', () => {
  for (const changes of [
    { logs_export_host: 'collector:10514' },
    { audit_log_level: 'Hipaa' },
    { audit_log_level: 'Full' },
  ])
    expect(confLines(spec(changes), settings)).toEqual([]);
});

test.each(['Hipaa', 'Extended', 'Full'])(
  'audit level %s is refused: to serve without it would be worse',
  (level) => {
    expect(() => assertServable(spec({ audit_log_level: level }))).toThrow(
      `${level} requires the service audit-log`,
    );
  },
);

test.each(['Disabled', 'Log', 'Base'])('audit level %s needs no service', (level) => {
  expect(() => assertServable(spec({ audit_log_level: level }))).not.toThrow();
});

test('a plain primary wants only what every compute needs', () => {
  expect(wantedBy({})).toEqual(['core-dumps', 'migrations', 'earlier-pgdata', 'installed-extensions']);
});

test.each([
  [{ skip_pg_catalog_updates: true }, ['core-dumps', 'earlier-pgdata', 'installed-extensions']],
  [{ mode: 'Replica' }, ['core-dumps', 'earlier-pgdata', 'installed-extensions']],
  [{ mode: { Static: '0/1698F48' } }, ['lsn-lease', 'core-dumps', 'earlier-pgdata', 'installed-extensions']],
  [
    { pgbouncer_settings: { max_client_conn: '10' } },
    ['core-dumps', 'pgbouncer', 'migrations', 'earlier-pgdata', 'installed-extensions'],
  ],
  [
    { swap_size_bytes: 1, disk_quota_bytes: 1 },
    ['core-dumps', 'migrations', 'earlier-pgdata', 'installed-extensions'],
  ],
])('%j wants %j', (changes, names) => expect(wantedBy(changes)).toEqual(names));

test('swap and disk quota are wanted where the command line allows them', () => {
  const allowed = { vm: { ...nothing, resizeSwap: true, quotaMountpoint: '/data' } } as unknown as Settings;
  const asked = spec({ swap_size_bytes: 7, disk_quota_bytes: 8 });
  const wants = (name: string): unknown => services.find((one) => one.name === name)?.wants(asked, allowed);
  expect([wants('swap'), wants('disk-quota')]).toEqual([7, { bytes: 8, mountpoint: '/data' }]);
});
