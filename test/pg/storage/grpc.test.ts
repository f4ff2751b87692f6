import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { freePort } from '../../support/cluster.ts';
import type { GrpcScript } from '../../support/fake-grpc.ts';
import { corrupted, makeTarball, truncated } from '../../support/fake-storage.ts';
import { BackupFixture, complete, failureOf, fetchBackup, noise } from '../../support/fake-storage-backup.ts';

let fixture: BackupFixture;
beforeEach(() => {
  fixture = new BackupFixture();
});
afterEach(() => fixture.stop());

test('a base backup over gRPC lands in PGDATA, asked for as the contract says', async () => {
  const fake = await fixture.grpc({ token: 'secret' });
  const figures = await fetchBackup(
    fixture.context([fake.url], { token: new Secret('secret'), mode: 'static' }),
  );
  expect(figures.bytes).toBe(fake.script.tarball.length);
  expect(figures.connectMicros).toBeGreaterThan(0);
  expect(readFileSync(join(fixture.pgdata, 'base/1/1')).equals(noise)).toBe(true);
  const [call] = fake.calls;
  expect(call?.request.toString('hex')).toBe('08d8e3a60b10012002');
  expect(call?.metadata).toMatchObject({
    'neon-tenant-id': 't',
    'neon-timeline-id': 'l',
    'neon-shard-id': '0000',
    authorization: 'Bearer secret',
  });
});

test('shard zero of a sharded tenant names the number of its shards', async () => {
  const fake = await fixture.grpc();
  const context = fixture.context([fake.url]);
  await fetchBackup({ ...context, pageserver: { ...context.pageserver, shardCount: 8 } });
  expect(fake.calls[0]?.metadata['neon-shard-id']).toBe('0008');
  expect(fake.calls[0]?.metadata).not.toHaveProperty('authorization');
});

describe('every fault ends in a clear error and a clean PGDATA:', () => {
  test.each<[string, Partial<GrpcScript>, string]>([
    ['silent', { fault: 'silent' }, 'nothing arrived for 500 ms'],
    ['error before', { fault: 'error-before' }, 'INTERNAL: injected'],
    ['error in the middle', { fault: 'error-middle' }, 'INTERNAL: injected'],
    ['error after the end', { fault: 'error-after' }, 'INTERNAL: injected'],
    ['cut in the middle', { fault: 'cut-middle' }, '127.0.0.1'],
    ['stalled', { fault: 'stall-middle' }, 'nothing arrived for 500 ms'],
    ['nothing sent', { fault: 'no-chunks' }, 'archive'],
    ['not a message', { fault: 'garbage' }, 'cut off'],
    ['wrong token', { token: 'other' }, 'INVALID_ARGUMENT: invalid JWT token'],
  ])('%s', async (_, script, reason) => {
    const fake = await fixture.grpc(script);
    const said = await failureOf(fixture.context([fake.url], { token: new Secret('mine') }));
    expect(said).toMatch(/^failed to get basebackup@0\/169B1D8: .*127\.0\.0\.1:/);
    expect(said).toContain(reason);
    expect(said).not.toContain('mine');
    expect(readdirSync(fixture.pgdata)).toEqual([]);
  });

  test.each<[string, () => Promise<Buffer>]>([
    ['truncated', async () => truncated(await makeTarball(complete))],
    ['corrupt checksum', async () => corrupted(await makeTarball(complete))],
    ['no gzip', () => makeTarball(complete, { gzip: false })],
  ])('archive: %s', async (_, tarball) => {
    const fake = await fixture.grpc({ tarball: await tarball() });
    expect(await failureOf(fixture.context([fake.url]))).toContain('damaged or cut off');
    expect(readdirSync(fixture.pgdata)).toEqual([]);
  });
});

describe('what is not retryable fails at once, what is retryable is tried again:', () => {
  test.each<[keyof typeof tries, number]>([
    ['NOT_FOUND', 1],
    ['UNAUTHENTICATED', 1],
    ['PERMISSION_DENIED', 1],
    ['INVALID_ARGUMENT', 1],
    ['FAILED_PRECONDITION', 1],
    ['UNAVAILABLE', 2],
    ['INTERNAL', 2],
    ['CANCELLED', 2],
  ])('%s: %d calls', async (status, calls) => {
    const fake = await fixture.grpc({ fault: 'error-before', error: { status, details: 'in its words' } });
    const said = await failureOf(fixture.context([fake.url], { limits: { retries: 1 } }));
    expect(said).toContain(`${status}: in its words`);
    expect(fake.calls).toHaveLength(calls);
  });
  const tries = { NOT_FOUND: 0, UNAUTHENTICATED: 0, PERMISSION_DENIED: 0, INVALID_ARGUMENT: 0 } as Record<
    NonNullable<GrpcScript['error']>['status'],
    number
  >;
});

test('a fault that passes is tried again, in an emptied PGDATA', async () => {
  const fake = await fixture.grpc({ fault: 'error-middle', faults: 1 });
  await fetchBackup(fixture.context([fake.url], { limits: { retries: 1 } }));
  expect(fake.calls).toHaveLength(2);
  expect(fixture.emptied).toBe(1);
  expect(existsSync(join(fixture.pgdata, 'global/pg_control'))).toBe(true);
});

test('a server that refuses connections is named with the reason', async () => {
  const port = await freePort();
  const said = await failureOf(fixture.context([`grpc://no_user@127.0.0.1:${port}`]));
  expect(said).toContain(`could not connect to 127.0.0.1:${port} over gRPC`);
  expect(said).toContain('ECONNREFUSED');
});

test('a server that accepts and says nothing does not hold up the start', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const said = await failureOf(fixture.context([`grpc://127.0.0.1:${port}`]));
  silent.close();
  expect(said).toContain('the connection took longer than 500 ms');
});

test('when the preferred protocol cannot be reached the other one is used', async () => {
  const libpq = await fixture.pageserver();
  const context = fixture.context([libpq.url, `grpc://127.0.0.1:${await freePort()}`]);
  await fetchBackup({ ...context, pageserver: { ...context.pageserver, preferProtocol: 'grpc' } });
  expect(libpq.commands).toHaveLength(1);
});

test('the second pageserver of the shard is asked when the first is down', async () => {
  const fake = await fixture.grpc();
  await fetchBackup(fixture.context([`grpc://127.0.0.1:${await freePort()}`, fake.url]));
  expect(fake.calls).toHaveLength(1);
});

test('a token that cannot be sent is refused without being shown', async () => {
  const fake = await fixture.grpc();
  const said = await failureOf(fixture.context([fake.url], { token: new Secret('se\ncret') }));
  expect(said).toContain('UNAUTHENTICATED');
  expect(said).not.toContain('cret\n');
  expect(said).not.toContain('se\n');
});
