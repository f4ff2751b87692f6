import { describe, expect, test } from 'vitest';
import { parseConfig, parseLegacySpec } from '../../../src/spec/parse.ts';
import { resolveSpec } from '../../../src/spec/resolve.ts';

// The table "What a spec must have" of docs/operating.md.

type Json = Readonly<Record<string, unknown>>;

const keys = { jwks: { keys: [] } };
const ids = { tenant_id: '0'.repeat(32), timeline_id: '1'.repeat(32) };
const minimal = {
  format_version: 1,
  suspend_timeout_seconds: 0,
  cluster: { roles: [], databases: [] },
  ...ids,
  pageserver_connstring: 'postgresql://pageserver',
  safekeeper_connstrings: ['safekeeper:5454'],
};

async function accepted(spec: Json, config: unknown = keys): Promise<void> {
  const { value } = await parseConfig(JSON.stringify({ spec, compute_ctl_config: config }));
  if (value.spec !== null) resolveSpec(value.spec);
}

const without = (name: string, from: Json = minimal): Json =>
  Object.fromEntries(Object.entries(from).filter(([key]) => key !== name));

const withSettings = (spec: Json, settings: Readonly<Record<string, string>>): Json => ({
  ...spec,
  cluster: {
    ...minimal.cluster,
    settings: Object.entries(settings).map(([name, value]) => ({ name, value, vartype: 'string' })),
  },
});

test('a spec with the required fields alone is accepted', async () => {
  await expect(accepted(minimal)).resolves.toBeUndefined();
});

describe('a spec without a field that is required is refused', () => {
  test.each(Object.keys(minimal))('%s', async (name) => {
    await expect(accepted(without(name))).rejects.toThrow();
  });

  test.each(['roles', 'databases'])('cluster.%s', async (name) => {
    await expect(accepted({ ...minimal, cluster: without(name, minimal.cluster) })).rejects.toThrow();
  });

  test('compute_ctl_config, or its keys', async () => {
    await expect(accepted(minimal, null)).rejects.toThrow();
    await expect(accepted(minimal, {})).rejects.toThrow();
    await expect(accepted(minimal, { jwks: {} })).rejects.toThrow();
  });

  test('shard_stripe_size, with more than one shard', async () => {
    const sharded = { ...minimal, pageserver_connstring: 'postgresql://a,postgresql://b' };
    await expect(accepted(sharded)).rejects.toThrow(/stripe_size/);
    await expect(accepted({ ...sharded, shard_stripe_size: 2048 })).resolves.toBeUndefined();
  });
});

describe('what stands for a required field is accepted in its place', () => {
  test.each([
    ['tenant_id', { 'neon.tenant_id': ids.tenant_id }],
    ['timeline_id', { 'neon.timeline_id': ids.timeline_id }],
    ['pageserver_connstring', { 'neon.pageserver_connstring': 'postgresql://pageserver' }],
    ['safekeeper_connstrings', { 'neon.safekeepers': 'safekeeper:5454' }],
  ])('a setting for %s', async (name, settings) => {
    await expect(accepted(withSettings(without(name), settings))).resolves.toBeUndefined();
  });

  test('pageserver_connection_info for pageserver_connstring', async () => {
    const shards = { '0000': { pageservers: [{ libpq_url: 'postgresql://pageserver' }] } };
    const info = { shard_count: 0, shards };
    const spec = { ...without('pageserver_connstring'), pageserver_connection_info: info };
    await expect(accepted(spec)).resolves.toBeUndefined();
  });
});

test('only a primary needs safekeepers', async () => {
  await expect(accepted({ ...without('safekeeper_connstrings'), mode: 'Replica' })).resolves.toBeUndefined();
});

test('a spec of -S needs no suspend_timeout_seconds', async () => {
  const { value } = await parseLegacySpec(JSON.stringify(without('suspend_timeout_seconds')));
  expect(() => resolveSpec(value)).not.toThrow();
});
