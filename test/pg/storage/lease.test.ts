import { afterEach, expect, test } from 'vitest';
import { createLog } from '../../../src/core/log.ts';
import { Secret } from '../../../src/core/secret.ts';
import { shardKey } from '../../../src/spec/pageserver.ts';
import type { Pageserver, PageserverInfo } from '../../../src/spec/resolve.ts';
import { type LeaseOutcome, keepLease } from '../../../src/storage/keep-lease.ts';
import { type LeaseRequest, leaseLsn } from '../../../src/storage/lease.ts';
import { freePort } from '../../support/cluster.ts';
import { type GrpcScript, startFakeGrpc } from '../../support/fake-grpc.ts';
import { type PageserverScript, startFakePageserver } from '../../support/fake-storage.ts';
import { lsn, never } from '../../support/fake-storage-backup.ts';

const fakes: { stop(): void | Promise<void> }[] = [];
afterEach(async () => {
  for (const fake of fakes.splice(0)) await fake.stop();
});

async function libpq(script: Partial<PageserverScript> = {}) {
  const fake = await startFakePageserver({ tarball: Buffer.alloc(0), ...script });
  fakes.push(fake);
  return fake;
}

async function grpc(script: Partial<GrpcScript> = {}) {
  const fake = await startFakeGrpc({ tarball: Buffer.alloc(0), ...script });
  fakes.push(fake);
  return fake;
}

const server = (url: string): Pageserver => ({
  id: null,
  libpqUrl: url.startsWith('grpc') ? null : url,
  grpcUrl: url.startsWith('grpc') ? url : null,
});

/** One list of URLs for each shard; one list is an unsharded tenant. */
const info = (...shards: readonly (readonly string[])[]): PageserverInfo => ({
  shardCount: shards.length === 1 ? 0 : shards.length,
  stripeSize: null,
  shards: new Map(shards.map((urls, at) => [at, urls.map(server)])),
  preferProtocol: 'libpq',
});

const ask = (pageserver: PageserverInfo, more: Partial<LeaseRequest> = {}) =>
  leaseLsn({ pageserver, token: null, tenantId: 't', timelineId: 'l', lsn, limitMs: 1000, ...more }, never);

test('every pageserver of every shard is asked, and the earliest end counts', async () => {
  const [one, two, three] = [await libpq(), await libpq({ lease: 60_000 }), await grpc({ lease: 300_000 })];
  const before = Date.now();
  const until = await ask(info([one.url, two.url], [three.url]));
  expect(until).toBeGreaterThanOrEqual(before + 60_000);
  expect(until).toBeLessThanOrEqual(Date.now() + 60_000);
  expect(one.commands).toEqual(['lease lsn t-0002 l 0/169B1D8']);
  expect(two.commands).toEqual(['lease lsn t-0002 l 0/169B1D8']);
  expect(three.calls[0]?.request.toString('hex')).toBe('08d8e3a60b');
  expect(three.calls[0]?.metadata['neon-shard-id']).toBe(shardKey(1, 2));
});

test('the token is sent over both protocols', async () => {
  const [one, two] = [await libpq({ token: 'secret' }), await grpc({ token: 'secret' })];
  expect(await ask(info([one.url, two.url]), { token: new Secret('secret') })).toBeTypeOf('number');
  await expect(ask(info([one.url]), { token: new Secret('other') })).rejects.toThrow('did not lease LSN');
  await expect(ask(info([two.url]), { token: new Secret('other') })).rejects.toThrow('did not lease');
});

test('one refusal is a refusal, over either protocol; so is having nobody to ask', async () => {
  const good = await libpq();
  const [one, two] = [await libpq({ lease: null }), await grpc({ lease: 'FAILED_PRECONDITION' })];
  expect(await ask(info([good.url, one.url]))).toBe('refused');
  expect(await ask(info([good.url, two.url]))).toBe('refused');
  expect(await ask(info([]))).toBe('refused');
});

test.each<[string, () => Promise<{ readonly url: string }>]>([
  ['an error', () => libpq({ fault: 'error-before' })],
  ['silence', () => libpq({ fault: 'silent' })],
  ['something that is not a time', () => libpq({ lease: 'soon' })],
  ['an error over gRPC', () => grpc({ lease: 'UNAVAILABLE' })],
  ['nobody there', async () => ({ url: `postgresql://no_user@127.0.0.1:${await freePort()}` })],
])('%s is a failure, not a refusal', async (_, start) => {
  await expect(ask(info([(await start()).url]))).rejects.toThrow(
    /did not lease|took longer|could not connect/,
  );
});

test('it goes on after failures and refusals, and follows a move at once', async () => {
  const [down, refusing, good] = [
    await libpq({ fault: 'error-before' }),
    await libpq({ lease: null }),
    await grpc(),
  ];
  const outcomes: LeaseOutcome['kind'][] = [];
  let current = info([down.url]);
  let moved = (): void => {};
  const stop = new AbortController();
  const move = (to: PageserverInfo): void => {
    current = to;
    moved();
  };
  const kept = keepLease(
    {
      tenantId: 't',
      timelineId: 'l',
      lsn,
      log: createLog({ format: 'json', level: 'silent' }),
      addresses: () => ({ pageserver: current, token: null }),
      changed: (signal) =>
        new Promise((resolve, reject) => {
          moved = resolve;
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
      onOutcome: ({ kind }) => outcomes.push(kind),
    },
    stop.signal,
  ).catch((error: unknown) => error);
  await expect.poll(() => outcomes).toEqual(['failed', 'failed']);
  move(info([refusing.url]));
  await expect.poll(() => outcomes).toEqual(['failed', 'failed', 'refused']);
  move(info([good.url]));
  await expect.poll(() => outcomes).toEqual(['failed', 'failed', 'refused', 'granted']);
  stop.abort();
  expect(await kept).toMatchObject({ name: 'AbortError' });
});
