import { describe, expect, test } from 'vitest';
import {
  parseConfig,
  parseControlPlane,
  parseLegacySpec,
  readConfigureBody,
  readSpec,
} from '../../../src/spec/parse.ts';
import { fullConfig, leastSpec } from './example.ts';
import { failure } from './failure.ts';

/** The lines of what is wrong with the least spec after some of its members are replaced. */
async function problems(changes: object): Promise<string[]> {
  const error = await failure(parseLegacySpec(JSON.stringify({ ...leastSpec(), ...changes })));
  expect(error.code).toBe('spec_shape');
  return error.message.split('\n');
}

describe('a whole config', () => {
  test('is read with ids in lower case, secrets wrapped and defaults filled in', async () => {
    const { value } = await parseConfig(JSON.stringify(fullConfig()));
    expect(value.spec).toMatchObject({
      tenant_id: '3aa8fcc61f6d357410b7de754b1d9001',
      drop_subscriptions_before_start: false,
      logs_export_host: null,
      pageserver_connection_info: { prefer_protocol: 'libpq' },
      cluster: {
        roles: [{ name: 'orders_owner' }, { name: 'reader', encrypted_password: null, options: null }],
      },
    });
    expect(value.spec?.storage_auth_token?.reveal()).toBe('storage-token');
    expect(JSON.stringify(value)).not.toMatch(/storage-token|endpoint-token|SCRAM/);
    expect(value.compute_ctl_config.jwks.keys[0]).not.toHaveProperty('kid');
  });

  test('notes features without effect once, and nothing for members that are known to occur', async () => {
    const { notes } = await parseConfig(JSON.stringify(fullConfig()));
    expect(notes).toEqual(['unknown feature "flag_of_tomorrow" is ignored']);
  });

  test('notes unknown fields once, whatever the number of elements that carry them', async () => {
    const config = fullConfig();
    const roles = config.spec.cluster.roles.map((role) => ({ ...role, colour: 'red' }));
    const { notes } = readConfigureBody({
      ...config,
      extra: 1,
      spec: { ...config.spec, cluster: { ...config.spec.cluster, roles } },
    });
    expect(notes).toContain('unknown field spec.cluster.roles[].colour is ignored');
    expect(notes).toContain('unknown field extra is ignored');
    expect(notes).toHaveLength(3);
  });

  test.each([
    ['{"compute_ctl_config":{"jwks":{"keys":[]}}}', null],
    ['{"compute_ctl_config":{"jwks":{"keys":[]},"tls":null},"spec":null}', null],
  ])('without a spec is a compute that starts empty: %s', async (text, spec) => {
    const { value } = await parseConfig(text);
    expect(value.spec).toBe(spec);
    expect(value.compute_ctl_config.tls).toBeNull();
  });

  test.each([
    ['{}', 'compute_ctl_config: missing, expected object'],
    ['{"compute_ctl_config":{}}', 'compute_ctl_config.jwks: missing, expected object'],
    [
      '{"compute_ctl_config":{"jwks":{"keys":[5]}}}',
      'compute_ctl_config.jwks.keys[0]: expected object, found 5',
    ],
    ['[]', 'the document: expected object, found array\ncompute_ctl_config: missing, expected object'],
  ])('that is incomplete is refused: %s', async (text, message) => {
    expect((await failure(parseConfig(text))).message).toBe(message);
  });

  test('as a request needs its spec', () => {
    expect(() => readConfigureBody({ compute_ctl_config: { jwks: { keys: [] } } })).toThrow(
      'spec: missing, expected object',
    );
    expect(() => readConfigureBody({ spec: null, compute_ctl_config: { jwks: { keys: [] } } })).toThrow(
      'spec: expected object, found null',
    );
  });

  test('from the control plane needs its status', async () => {
    const config = { compute_ctl_config: { jwks: { keys: [] } } };
    expect((await parseControlPlane(JSON.stringify({ ...config, status: 'empty' }))).value.status).toBe(
      'empty',
    );
    const error = await failure(parseControlPlane(JSON.stringify({ ...config, status: 'Empty' })));
    expect(error.message).toBe('status: expected "empty" or "attached", found "Empty"');
  });
});

describe('a spec', () => {
  test('of the older command line may lack the suspend timeout, one of today may not', async () => {
    const { suspend_timeout_seconds: _, ...older } = leastSpec();
    expect((await parseLegacySpec(JSON.stringify(older))).value.suspend_timeout_seconds).toBe(0);
    expect(() => readSpec(older)).toThrow('spec.suspend_timeout_seconds: missing, expected integer');
  });

  test('accepts null for every field that may be absent', () => {
    const parsed = readSpec(leastSpec()).value;
    const nulls = Object.fromEntries(Object.entries(parsed).filter(([, value]) => value === null));
    expect(Object.keys(nulls).length).toBeGreaterThan(15);
    expect(readSpec({ ...leastSpec(), ...nulls }).value).toEqual(parsed);
  });

  test.each([
    'features',
    'mode',
    'skip_pg_catalog_updates',
    'safekeeper_connstrings',
    'reconfigure_concurrency',
    'drop_subscriptions_before_start',
    'audit_log_level',
    'autoprewarm',
    'suspend_timeout_seconds',
    'format_version',
  ])('refuses null for %s', async (field) => {
    expect(await problems({ [field]: null })).toEqual([
      expect.stringMatching(`^spec\\.${field}: expected .+, found null$`),
    ]);
  });

  test.each<[object, string]>([
    [{ format_version: '1.0' }, 'spec.format_version: expected number, found "1.0"'],
    [{ swap_size_bytes: -1 }, 'spec.swap_size_bytes: expected integer of 0 or more, found -1'],
    [
      { shard_stripe_size: 4294967296 },
      'spec.shard_stripe_size: expected integer from 0 to 4294967295, found 4294967296',
    ],
    [
      { offload_lfc_interval_seconds: 0 },
      'spec.offload_lfc_interval_seconds: expected integer of 1 or more, found 0',
    ],
    [{ tenant_id: 'xyz' }, 'spec.tenant_id: expected 32 hex digits, found "xyz"'],
    [{ features: [1] }, 'spec.features[0]: expected string, found 1'],
    [
      { pgbouncer_settings: { 'pool size': 5 } },
      'spec.pgbouncer_settings["pool size"]: expected string, found number',
    ],
    [{ mode: 'primary' }, 'spec.mode: expected "Primary", "Replica" or {"Static": "<LSN>"}, found "primary"'],
    [{ mode: 'Static' }, 'spec.mode: expected "Primary", "Replica" or {"Static": "<LSN>"}, found "Static"'],
    [
      { audit_log_level: 'Everything' },
      'spec.audit_log_level: expected "Disabled" or "Log" or "Base" or "Hipaa" or "Extended" or "Full", found "Everything"',
    ],
    [{ storage_auth_token: 12345 }, 'spec.storage_auth_token: expected string, found number'],
    [
      { databricks_settings: { pg_compute_tls_settings: null } },
      'spec.databricks_settings.pg_compute_tls_settings: expected object, found null',
    ],
  ])('refuses %j', async (changes, line) => {
    expect(await problems(changes)).toContain(line);
  });

  test.each(['0/1698F48', ' ffffffff/FFFFFFFF '])('reads a static mode at %j', (lsn) => {
    expect(readSpec({ ...leastSpec(), mode: { Static: lsn } }).value.mode).toEqual({ Static: lsn.trim() });
  });

  test.each([
    { mode: { Static: '0/100000000' } },
    { mode: { Static: 5 } },
    { mode: { Static: '0/1', Primary: null } },
    { mode: {} },
    { mode: [] },
  ])('refuses %j', async ({ mode }) => {
    expect((await problems({ mode }))[0]).toMatch(/^spec\.mode(\.Static)?: expected /);
  });

  test('takes the long form of a mode for the short one', () => {
    expect(readSpec({ ...leastSpec(), mode: { Primary: null } }).value.mode).toBe('Primary');
    expect(readSpec({ ...leastSpec(), mode: { Replica: null } }).value.mode).toBe('Replica');
  });

  test('reports every problem at once, and secrets only by their type', async () => {
    const cluster = {
      roles: [{ name: 'a' }, { name: 5, encrypted_password: 6543 }],
      databases: [{ name: 'd' }],
    };
    expect(await problems({ cluster, autoprewarm: 'yes' })).toEqual([
      'spec.cluster.roles[1].name: expected string, found 5',
      'spec.cluster.roles[1].encrypted_password: expected string, found number',
      'spec.cluster.databases[0].owner: missing, expected string',
      'spec.autoprewarm: expected boolean, found "yes"',
    ]);
  });

  test('with very many problems lists the first hundred', async () => {
    const lines = await problems({ features: Array.from({ length: 150 }, () => 1) });
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toBe('… and 50 more');
  });

  test('names shards of a wrong length', async () => {
    const info = { shard_count: 0, shards: { '00': { pageservers: [] } } };
    expect(await problems({ pageserver_connection_info: info })).toEqual([
      'spec.pageserver_connection_info.shards["00"]: the name of a member is wrong: expected 4 hex digits',
    ]);
  });
});

test('a password that is empty or a placeholder is noted with its path, a real one and null are not', () => {
  const given = ['', ' ', 'SCRAM-SHA-256$0:$:', 'SCRAM-SHA-256$4096:c2FsdA==$:', null, 'a'.repeat(32)];
  const roles = given.map((encrypted_password, at) => ({ name: `r${at}`, encrypted_password }));
  const { notes } = readSpec({ ...leastSpec(), cluster: { roles, databases: [], settings: [] } });
  expect(notes).toEqual(
    [0, 1, 2, 3].map(
      (at) =>
        `spec.cluster.roles[${at}].encrypted_password is empty or a placeholder: the role has no usable password`,
    ),
  );
});

test('safekeepers that are overruled by the setting are noted', () => {
  const { notes } = readSpec({ ...leastSpec(), safekeeper_connstrings: ['http://sk1:7676'] });
  expect(notes).toEqual([expect.stringMatching(/^spec\.safekeeper_connstrings has URLs and is ignored/)]);
});
