import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Rig, baseBackup, rig } from '../support/compute.ts';
import { type FakeGrpc, startFakeGrpc } from '../support/fake-grpc.ts';
import { eventually } from '../support/program.ts';

let compute: Rig;
let grpc: FakeGrpc;
beforeEach(async () => {
  compute = await rig();
  grpc = await startFakeGrpc({ tarball: baseBackup() });
});
afterEach(async () => {
  grpc.stop();
  await compute.stop();
});

const over = (url: string): object => ({
  pageserver_connstring: null,
  pageserver_connection_info: {
    shard_count: 0,
    stripe_size: null,
    prefer_protocol: url.startsWith('grpc') ? 'grpc' : 'libpq',
    shards: {
      '0000': {
        pageservers: [{ id: 1, ...(url.startsWith('grpc') ? { grpc_url: url } : { libpq_url: url }) }],
      },
    },
  },
});

test('a refused lease of a static compute shows in status, log and metrics, and is mended by a move', async () => {
  compute.pageserver.script.lease = null;
  const program = compute.start({
    spec: compute.spec({ mode: { Static: '0/2000000' }, pageserver_connstring: compute.pageserver.url }),
  });
  await compute.until('running');
  const refused = await eventually('the refusal', async () => {
    const { error } = (await compute.http('GET', '/status')).json<{ error: string | null }>();
    return error ?? undefined;
  });
  expect(refused).toContain('lease could not be obtained');
  expect(program.output()).toContain('lsn_lease_bg_task');
  const moved = { spec: compute.spec({ mode: { Static: '0/2000000' }, ...over(grpc.url) }) };
  expect(
    (await compute.http('POST', '/configure', { ...moved, compute_ctl_config: { jwks: compute.keys.jwks } }))
      .status,
  ).toBe(200);
  await eventually('the lease', async () => {
    const { error } = (await compute.http('GET', '/status')).json<{ error: string | null }>();
    return error === null ? true : undefined;
  });
  expect(program.output()).toMatch(/lsn_lease_bg_task.*Request succeeded/);
  const metrics = (await compute.http('GET', '/metrics')).body;
  expect(metrics).toContain('compute_lsn_lease_requests_total{outcome="refused"} 1');
  expect(metrics).toContain('compute_lsn_lease_requests_total{outcome="granted"} 1');
  expect(metrics).toMatch(/compute_lsn_lease_expiry_seconds 1\d{9}/);
});

test('the built program starts a primary from a base backup over gRPC', async () => {
  compute.start({ spec: compute.spec(over(grpc.url)) });
  await compute.until('running');
  expect(grpc.calls.map(({ method }) => method)).toEqual(['GetBaseBackup']);
});
