import { complianceLines } from '../../../src/postgres/conf-audit.ts';
import { expect, test } from 'vitest';
import { renderConf } from '../../../src/postgres/conf.ts';
import { context, resolved } from './spec-for-tests.ts';

const text = (spec: ReturnType<typeof resolved>, more = {}): string =>
  renderConf(spec, { ...context, ...more }).text;

const string = (name: string, value: string | null) => ({ name, value, vartype: 'string' });
const raw = (name: string, value: string | null, vartype = 'integer') => ({ name, value, vartype });

const sharded = {
  features: ['tls_experimental'],
  pageserver_connstring: null,
  pageserver_connection_info: {
    shard_count: 2,
    stripe_size: 2048,
    shards: {
      '0102': {
        pageservers: [{ id: 9, libpq_url: 'postgresql://no_user@ps-9.storage.local:6400', grpc_url: null }],
      },
      '0002': {
        pageservers: [{ id: 7, libpq_url: 'postgresql://no_user@ps-7.storage.local:6400', grpc_url: null }],
      },
    },
  },
  project_id: 'quiet-river-10442',
  branch_id: 'br-still-moon-55810',
  endpoint_id: 'ep-lucky-field-20931',
  safekeepers_generation: 4,
  safekeeper_connstrings: ['sk-1.storage.local:6500', 'sk-2.storage.local:6500', 'sk-3.storage.local:6500'],
};

test('a primary with shards, TLS, audit and the lines of a service gets every section in its order', () => {
  const spec = resolved(
    { ...sharded, audit_log_level: 'Base' },
    {
      settings: [
        raw('max_connections', '450'),
        string('shared_buffers', '128MB'),
        raw('wal_level', 'replica', 'enum'),
        string('synchronous_standby_names', 'walproposer'),
        string('shared_preload_libraries', 'neon,pg_stat_statements'),
        raw('neon.max_cluster_size', '51200'),
        string('log_line_prefix', "%m [%p] it's %u "),
      ],
    },
  );
  expect(text(spec, { tls: true, serviceLines: ["log_destination='stderr,syslog'"] }))
    .toBe(`# Neon storage settings

neon.stripe_size=2048
neon.pageserver_connstring='postgresql://no_user@ps-7.storage.local:6400,postgresql://no_user@ps-9.storage.local:6400'
neon.safekeepers='g#4:sk-1.storage.local:6500,sk-2.storage.local:6500,sk-3.storage.local:6500'
neon.tenant_id='0944cacdd3ab0e452e271ae1e0a73626'
neon.timeline_id='f7ff2504a4cdc90a60f985c58c2001c4'
neon.project_id='quiet-river-10442'
neon.branch_id='br-still-moon-55810'
neon.endpoint_id='ep-lucky-field-20931'
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
lc_messages='C.UTF-8'
lc_monetary='C.UTF-8'
lc_time='C.UTF-8'
lc_numeric='C.UTF-8'
neon.compute_mode=primary
neon.privileged_role_name='neon_superuser'
# Managed by compute_ctl: begin
max_connections = 450
shared_buffers = '128MB'
wal_level = replica
synchronous_standby_names = 'walproposer'
shared_preload_libraries = 'neon,pg_stat_statements'
neon.max_cluster_size = 51200
log_line_prefix = '%m [%p] it''s %u '
# Managed by compute_ctl: end
# Managed by compute_ctl base audit settings: start
pgaudit.log='ddl,role'
pgaudit.log_catalog=off
shared_preload_libraries='neon,pg_stat_statements,pgaudit'
# Managed by compute_ctl base audit settings: end
neon.extension_server_port=3081
neon.disable_logical_replication_subscribers=false
log_destination='stderr,syslog'
include_if_exists = 'compute_ctl_temp_override.conf'
`);
});

test('a static compute of an unsharded tenant recovers to its LSN', () => {
  const spec = resolved(
    { mode: { Static: '0/1698f48' }, safekeeper_connstrings: [], endpoint_id: 'ro' },
    { postgresql_conf: 'shared_buffers=1MB\nport=55440\n', settings: null },
  );
  expect(text(spec)).toBe(`shared_buffers=1MB
port=55440

# Neon storage settings

neon.pageserver_connstring='postgres://no_user@127.0.0.1:64000'
neon.tenant_id='0944cacdd3ab0e452e271ae1e0a73626'
neon.timeline_id='f7ff2504a4cdc90a60f985c58c2001c4'
neon.endpoint_id='ro'
lc_messages='C.UTF-8'
lc_monetary='C.UTF-8'
lc_time='C.UTF-8'
lc_numeric='C.UTF-8'
neon.compute_mode=static
hot_standby=on
recovery_target_lsn='0/1698F48'
neon.privileged_role_name='neon_superuser'
neon.extension_server_port=3081
neon.disable_logical_replication_subscribers=false
include_if_exists = 'compute_ctl_temp_override.conf'
`);
});

test('ids found in the settings only are not repeated in the storage section', () => {
  const settings = [
    string('neon.tenant_id', '0944cacdd3ab0e452e271ae1e0a73626'),
    string('neon.safekeepers', 'a:1'),
  ];
  const lines = text(resolved({ tenant_id: null, safekeeper_connstrings: [] }, { settings })).split('\n');
  expect(lines.filter((line) => line.startsWith('neon.tenant_id'))).toEqual([
    "neon.tenant_id = '0944cacdd3ab0e452e271ae1e0a73626'",
  ]);
  expect(lines.filter((line) => line.startsWith('neon.safekeepers'))).toEqual(["neon.safekeepers = 'a:1'"]);
});

test('a shard that speaks gRPC only leaves no connection string', () => {
  const shards = { '0000': { pageservers: [{ id: 1, libpq_url: null, grpc_url: 'grpc://ps:51051' }] } };
  const info = { shard_count: 0, stripe_size: null, shards, prefer_protocol: 'grpc' };
  const conf = text(resolved({ pageserver_connstring: null, pageserver_connection_info: info }));
  expect(conf).not.toContain('pageserver_connstring');
  expect(conf).not.toContain('stripe_size');
});

test('TLS lines need the feature and the key pair', () => {
  expect(text(resolved(), { tls: true })).not.toContain('ssl');
  expect(text(resolved({ features: ['tls_experimental'] }))).not.toContain('ssl');
  expect(text(resolved({ features: ['tls_experimental'] }), { tls: true })).toContain('ssl = on');
});

test('subscribers are disabled by the first conf file only', () => {
  const spec = resolved({ drop_subscriptions_before_start: true });
  expect(text(spec)).toContain('subscribers=true');
  expect(text(spec, { subscriptionsDropped: true })).toContain('subscribers=false');
});

test('strict overcommit moves shared memory to files, and macOS knows only the C locale', () => {
  expect(text(resolved(), { strictOvercommit: true })).toContain('\ndynamic_shared_memory_type = mmap\n');
  expect(text(resolved(), { platform: 'darwin' })).toContain("\nlc_messages='C'\n");
});

test('an empty list of settings leaves an empty line between the markers', () => {
  expect(text(resolved({}, { settings: [] }))).toContain(': begin\n\n# Managed by compute_ctl: end\n');
});

test('a setting without a value is left out with a note, as Postgres would refuse the whole file', () => {
  const { text, notes } = renderConf(
    resolved({}, { settings: [raw('work_mem', null), raw('port', '1')] }),
    context,
  );
  expect(text).not.toContain('work_mem');
  expect(notes).toEqual(['spec.cluster.settings[0]: setting work_mem has no value and is left out']);
});

test.each([
  ['quoted value', string('application_name', 'a\nfsync = off'), 'spec.cluster.settings[0].value'],
  ['raw value', raw('port', '1\nfsync = off'), 'spec.cluster.settings[0].value'],
  ['name', raw('port = 1\nfsync', 'off'), 'spec.cluster.settings[0].name'],
  ['carriage return', raw('port', '1\r'), 'spec.cluster.settings[0].value'],
])('a line break in a %s is refused with its path', (_what, setting, path) => {
  const broken = resolved({}, { settings: [setting] });
  expect(() => renderConf(broken, context)).toThrow(
    expect.objectContaining({ code: 'spec_invalid', message: expect.stringContaining(path) as string }),
  );
});

test('a line break in an id or an address is refused', () => {
  expect(() => text(resolved({ endpoint_id: 'a\nb' }))).toThrow('spec.endpoint_id');
  expect(() => text(resolved({ safekeeper_connstrings: ['a:1\nfsync=off'] }))).toThrow(
    'spec.safekeeper_connstrings',
  );
});

test.each([
  ['Disabled', []],
  ['Log', ["shared_preload_libraries='neon,pgaudit'"]],
  ['Base', ["shared_preload_libraries='neon,pgaudit'"]],
  ['Hipaa', []],
  ['Extended', []],
  ['Full', []],
])(
  'audit level %s writes what needs no service, and keeps the library the storage needs',
  (level, expected) => {
    const lines = text(resolved({ audit_log_level: level })).split('\n');
    expect(lines.filter((line) => line.startsWith('shared_preload_libraries'))).toEqual(expected);
  },
);

test('auditing keeps the libraries that the head of the conf file asks for', () => {
  const head = "#shared_preload_libraries = 'no'\nShared_Preload_Libraries = 'neon, auto_explain' # why\n";
  const lines = complianceLines(resolved({ audit_log_level: 'Extended' }, { postgresql_conf: head }).spec);
  expect(lines).toContain("shared_preload_libraries='neon, auto_explain,pgaudit,pgauditlogtofile'");
  expect(lines).toContain('pgaudit.log_rotation_age=5');
});

test('a spec cannot make Postgres run on another data directory', () => {
  const elsewhere = string('Data_Directory', '/var/lib/postgresql/15/main');
  for (const cluster of [
    { settings: [elsewhere] },
    { settings: [], postgresql_conf: "data_directory '/var/lib/postgresql/15/main'\n" },
  ])
    expect(() => text(resolved({}, cluster))).toThrow('the setting data_directory cannot be given');
});
