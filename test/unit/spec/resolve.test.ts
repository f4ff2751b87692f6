import { describe, expect, test } from 'vitest';
import { readSpec } from '../../../src/spec/parse.ts';
import { type ResolvedSpec, resolveSpec, setting } from '../../../src/spec/resolve.ts';
import { fullConfig, leastSpec } from './example.ts';

/** The least spec with some settings replaced or (null) removed, and some fields set. */
function resolve(settings: Record<string, string | null>, fields: object = {}): ResolvedSpec {
  const least = leastSpec();
  const kept = least.cluster.settings.filter(({ name }) => !Object.hasOwn(settings, name));
  const added = Object.entries(settings)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => ({ name, value, vartype: 'string' }));
  return resolveSpec(
    readSpec({ ...least, cluster: { ...least.cluster, settings: [...kept, ...added] }, ...fields }).value,
  );
}

const server = (libpq_url: string | null, grpc_url: string | null = null) => ({ libpq_url, grpc_url });
const withInfo = (info: object): ResolvedSpec => resolve({}, { pageserver_connection_info: info });

test('everything can come from the fields', () => {
  const resolved = resolveSpec(readSpec(fullConfig().spec).value);
  expect(resolved).toMatchObject({
    mode: { kind: 'primary' },
    tenantId: '3aa8fcc61f6d357410b7de754b1d9001',
    pageserver: { shardCount: 2, stripeSize: 32768, preferProtocol: 'libpq' },
    safekeepers: ['sk1:6500', 'sk2:6500', 'sk3:6500'],
    safekeepersGeneration: 0,
    extensionStatsSeconds: 120,
  });
  expect(resolved.pageserver.shards.get(1)).toEqual([
    { id: 2, libpqUrl: 'postgresql://ps2:6400', grpcUrl: null },
  ]);
  expect(resolved.endpointStorage.token?.reveal()).toBe('endpoint-token');
  expect(resolved.spec.reconfigure_concurrency).toBe(1);
});

test('everything can come from the settings', () => {
  expect(resolve({ 'neon.endpoint_storage_addr': 'es:1', 'neon.endpoint_storage_token': 't' })).toMatchObject(
    {
      tenantId: '3aa8fcc61f6d357410b7de754b1d9001',
      timelineId: '641e5342083b2235ee3deb8066819683',
      pageserver: { shardCount: 0, stripeSize: null },
      safekeepers: ['sk1:5454', 'sk2:5454', 'sk3:5454'],
      safekeepersGeneration: null,
      endpointStorage: { addr: 'es:1' },
      extensionStatsSeconds: 3600,
    },
  );
});

test('the first setting of a name counts, and a null there means none', () => {
  const cluster = {
    ...leastSpec().cluster,
    settings: [
      { name: 'a', value: null, vartype: 'string' },
      { name: 'a', value: 'later', vartype: 'string' },
    ],
  };
  expect(setting(readSpec({ ...leastSpec(), cluster }).value, 'a')).toBeNull();
});

describe('what is missing or wrong is named', () => {
  const none = {
    'neon.pageserver_connstring': null,
    'neon.safekeepers': null,
    'neon.tenant_id': null,
    'neon.timeline_id': null,
  };

  test('all of several at once, each with its path', () => {
    let thrown: unknown = null;
    try {
      resolve(none);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: 'spec_invalid',
      message: [
        'spec.pageserver_connection_info: pageserver connection information should be provided',
        'spec.safekeeper_connstrings: safekeeper connstrings should be provided',
        'spec.tenant_id: tenant id should be provided',
        'spec.timeline_id: timeline id should be provided',
      ].join('\n'),
      hint: expect.stringContaining('spec.tenant_id can also be given as the setting neon.tenant_id'),
    });
  });

  test.each<[string, Record<string, string | null>, object]>([
    ['pageserver connection information should be provided', { 'neon.pageserver_connstring': null }, {}],
    ['2 shards but no stripe_size', { 'neon.pageserver_connstring': 'host=a,host=b' }, {}],
    ['2 shards but no stripe_size', { 'neon.pageserver_connstring': 'a:1,b:1' }, {}],
    [
      '2 shards but no stripe_size',
      { 'neon.stripe_size': '8' },
      { pageserver_connstring: 'postgresql://a,postgresql://b' },
    ],
    [
      'setting neon.stripe_size: expected integer from 0 to 4294967295, found "x"',
      { 'neon.pageserver_connstring': 'host=a,host=b', 'neon.stripe_size': 'x' },
      {},
    ],
    [
      '256 pageserver connection strings, at most 255 shards are possible',
      {},
      { shard_stripe_size: 1, pageserver_connstring: Array.from({ length: 256 }, () => 'host=a').join(',') },
    ],
    ['safekeeper connstrings should be provided', { 'neon.safekeepers': null }, {}],
    ['tenant id should be provided', { 'neon.tenant_id': null }, {}],
    ['invalid tenant id', { 'neon.tenant_id': 'zz' }, {}],
    ['timeline id should be provided', { 'neon.timeline_id': null }, {}],
    ['invalid timeline id', { 'neon.timeline_id': '' }, {}],
    ['safekeeper_connstrings is empty', { 'neon.safekeepers': ' , ' }, {}],
    ['safekeeper_connstrings is empty', {}, { safekeeper_connstrings: [''] }],
    [
      'duplicate entry in safekeeper_connstrings: a:1!',
      {},
      { safekeeper_connstrings: ['a:1', 'b:1', 'a:1'] },
    ],
    ['duplicate entry in safekeeper_connstrings: a:1!', { 'neon.safekeepers': 'g#1:a:1, a:1' }, {}],
  ])('%s', (message, settings, fields) => {
    let thrown: unknown = null;
    try {
      resolve(settings, fields);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'spec_invalid', message });
  });
});

describe('safekeepers', () => {
  const urls = ['http://sk1:7676', 'postgresql://sk2:5454/'];

  test('given as URLs are left for those of the settings', () => {
    const fields = { safekeeper_connstrings: urls };
    expect(resolve({ 'neon.safekeepers': 'sk1:5454,sk2:5454' }, fields)).toMatchObject({
      safekeepers: ['sk1:5454', 'sk2:5454'],
    });
  });

  test('given as URLs of PostgreSQL alone count by their addresses', () => {
    const given = [
      'postgresql://postgres:@sk0.neon:5454',
      'postgres://sk1:5454/',
      ' postgresql://u:p%40@[::1]:5454/db?sslmode=disable ',
      'sk3:5454',
      'postgresql://sk4:5454?options=-c%20a=b@c',
    ];
    expect(resolve({ 'neon.safekeepers': null }, { safekeeper_connstrings: given }).safekeepers).toEqual([
      'sk0.neon:5454',
      'sk1:5454',
      '[::1]:5454',
      'sk3:5454',
      'sk4:5454',
    ]);
    const twice = ['sk1:5454', 'postgresql://x@sk1:5454'];
    expect(() => resolve({ 'neon.safekeepers': null }, { safekeeper_connstrings: twice })).toThrow(
      'duplicate entry',
    );
  });

  test('given as other URLs alone are refused with the form that is expected', () => {
    expect(() => resolve({ 'neon.safekeepers': null }, { safekeeper_connstrings: urls })).toThrow(
      'a safekeeper is given as a URL of another kind, expected host:port',
    );
  });

  test('from settings lose blanks and the prefix of the generation, which is kept', () => {
    expect(resolve({ 'neon.safekeepers': ' g#12:sk1:1 , sk2:1,' })).toMatchObject({
      safekeepers: ['sk1:1', 'sk2:1'],
      safekeepersGeneration: 12,
    });
  });

  test('have the generation of the field when it is given', () => {
    expect(
      resolve({ 'neon.safekeepers': 'g#12:sk1:1' }, { safekeepers_generation: 0 }).safekeepersGeneration,
    ).toBe(0);
  });

  test('with a generation beyond 32 bits are refused', () => {
    expect(() => resolve({ 'neon.safekeepers': 'g#4294967296:sk1:1' })).toThrow(
      'generation of the safekeepers',
    );
  });

  test.each(['Replica', { Static: '0/10' }])('are not needed in the mode %j, and may repeat', (mode) => {
    expect(resolve({ 'neon.safekeepers': 'sk1:1' }, { mode }).safekeepers).toEqual([]);
    const twice = ['a:1', 'a:1'];
    expect(resolve({}, { mode, safekeeper_connstrings: twice }).safekeepers).toEqual(twice);
  });
});

describe('pageservers', () => {
  test('as a list are one shard each', () => {
    const { pageserver } = resolve(
      {},
      { shard_stripe_size: 8, pageserver_connstring: 'host=a, postgresql://b' },
    );
    expect(pageserver).toMatchObject({ shardCount: 2, stripeSize: 8, preferProtocol: 'libpq' });
    expect(pageserver.shards.get(1)).toEqual([{ id: null, libpqUrl: 'postgresql://b', grpcUrl: null }]);
  });

  test('as a list of one drop the stripe size', () => {
    expect(resolve({}, { shard_stripe_size: 8, pageserver_connstring: 'host=a' }).pageserver).toMatchObject({
      shardCount: 0,
      stripeSize: null,
    });
  });

  test.each(['host=a,b port=1,2', 'postgresql://a:1,b:2/'])(
    'in one string with several hosts stay one string: %s',
    (text) => {
      const { shards } = resolve({ 'neon.pageserver_connstring': text }).pageserver;
      expect([...shards.values()].map(([first]) => first?.libpqUrl)).toEqual([text]);
    },
  );

  test('beat the older fields when they have their own object', () => {
    const info = { shard_count: 0, shards: { '0000': { pageservers: [server('a')] } } };
    const fields = { pageserver_connection_info: info, pageserver_connstring: 'host=b,host=c' };
    expect(resolve({}, fields).pageserver.shards.get(0)?.[0]?.libpqUrl).toBe('a');
  });

  test('may be sharded into one', () => {
    const { pageserver } = withInfo({ shard_count: 1, shards: { '0001': { pageservers: [server('a')] } } });
    expect(pageserver.shardCount).toBe(1);
  });

  test.each<[string, object]>([
    [
      'shard 0102 missing from pageserver_connection_info shard map',
      { shard_count: 2, shards: { '0002': { pageservers: [server('a')] } } },
    ],
    [
      'shard 0000 missing from pageserver_connection_info shard map',
      { shard_count: 0, shards: { '0001': { pageservers: [server('a')] } } },
    ],
    [
      'shard 0000 of pageserver_connection_info has no pageservers',
      { shard_count: 0, shards: { '0000': { pageservers: [] } } },
    ],
    [
      'the first pageserver of shard 0000 has no grpc_url, but pageserver_connection_info prefers grpc',
      {
        shard_count: 0,
        prefer_protocol: 'grpc',
        shards: { '0000': { pageservers: [server('a'), server(null, 'grpc://b')] } },
      },
    ],
    [
      'the first pageserver of shard 0000 has no libpq_url, but pageserver_connection_info prefers libpq',
      { shard_count: 0, shards: { '0000': { pageservers: [server('')] } } },
    ],
  ])('%s', (message, info) => {
    expect(() => withInfo(info)).toThrow(message);
  });

  test('are found by hex keys in upper case as well', () => {
    const shards = Object.fromEntries(
      Array.from({ length: 11 }, (_, at) => [
        `${at.toString(16).padStart(2, '0')}0B`.toUpperCase(),
        { pageservers: [server('a')] },
      ]),
    );
    expect(withInfo({ shard_count: 11, shards }).pageserver.shards.size).toBe(11);
  });
});

test.each([
  [-1, 3600],
  [0, 3600],
  [-77, 3600],
  [1, 1],
  [7200, 7200],
])('a suspend timeout of %d gives an interval of %d seconds', (suspend_timeout_seconds, seconds) => {
  expect(resolve({}, { suspend_timeout_seconds }).extensionStatsSeconds).toBe(seconds);
});

test('a static mode carries its LSN', () => {
  expect(resolve({}, { mode: { Static: '1/A' } }).mode).toEqual({ kind: 'static', lsn: 0x1_0000_000an });
});
