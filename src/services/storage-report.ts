import * as v from 'valibot';
import { withDeadline, within } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import { repeat } from '../core/retry.ts';
import { httpGet } from '../outbound/http-get.ts';
import { troubleKinds } from '../local/storage/trouble-kinds.ts';
import { type Loop, inBackground } from './forms.ts';
import type { Service, ServiceDeps } from './service.ts';
import type { StorageAddress } from './settings.ts';

const count = v.pipe(v.number(), v.minValue(0));

/** The part of the answer that is read; compute-local's storage says more. */
const answer = v.object({
  troubles: v.array(
    v.object({
      part: v.string(),
      kind: v.picklist(Object.keys(troubleKinds) as (keyof typeof troubleKinds)[]),
      what: v.string(),
      reason: v.string(),
      act: v.string(),
    }),
  ),
  disk: v.nullable(
    v.object({
      total_bytes: count,
      free_bytes: count,
      base_bytes: v.nullable(count),
      wal_bytes: v.nullable(count),
      level: v.picklist(['ok', 'low', 'stop']),
    }),
  ),
});
type Answer = v.InferOutput<typeof answer>;

/** For the first look, when a start does not come to its end. */
const firstMs = 2000;
const everyMs = 5000;
const limitMs = 3000;
const maxBytes = 256 * 1024;

/** Asks the storage every five seconds what is wrong with it, for `/readyz`, `/status` and the metrics. */
export const storageReport: Service<StorageAddress> = {
  name: 'storage-report',
  when: 'beside-postgres',
  wants: (_, { storageStatus }) => storageStatus,
  async start(address, deps) {
    return inBackground<StorageAddress>(deps, {
      name: 'storage-report',
      async work(signal, loop) {
        // A start that goes well is over before.
        await within(deps.untilCalm(signal), firstMs, signal).catch(() => {});
        await repeat(() => look(address, deps, loop, signal), signal);
      },
    });
  },
};

async function look(
  address: StorageAddress,
  deps: ServiceDeps,
  loop: Loop,
  signal: AbortSignal,
): Promise<number> {
  try {
    took(await ask(address, signal), deps, loop);
  } catch (error) {
    signal.throwIfAborted();
    const reason = explained(error);
    const act = 'look whether the storage runs: for compute-local see storage.log';
    deps.onStorageReport({
      words: 'the storage does not answer',
      trouble: { reason, act },
      writesStopped: false,
    });
    loop.report('failed', `the storage does not answer: ${reason}`);
  }
  return everyMs;
}

async function ask({ url, token }: StorageAddress, signal: AbortSignal): Promise<Answer> {
  return withDeadline('the answer of the storage', limitMs, signal, async (limited) => {
    const headers = { authorization: `Bearer ${(await token(limited)).reveal()}` };
    // It is on this machine: never through a proxy.
    const { status, statusLine, body } = await httpGet({ url, headers, maxBytes, signal: limited, env: {} });
    if (status !== 200) throw new ComputeError('internal', `GET ${url} was answered with ${statusLine}`);
    return v.parse(answer, JSON.parse(body));
  });
}

/** The parts without which no commit returns come first. */
const order = ['receiver', 'takeover', 'files'];

function took({ troubles, disk }: Answer, { metrics, onStorageReport }: ServiceDeps, loop: Loop): void {
  const rank = (part: string): number => (order.includes(part) ? order.indexOf(part) : order.length);
  const [worst] = troubles.toSorted((a, b) => rank(a.part) - rank(b.part));
  onStorageReport({
    words: worst === undefined ? null : `the storage says that ${troubleKinds[worst.kind].words}`,
    trouble: worst === undefined ? null : { reason: `${worst.what}: ${worst.reason}`, act: worst.act },
    writesStopped: disk?.level === 'stop',
  });
  if (worst === undefined) loop.report('ok');
  else loop.report(rank(worst.part) < order.length ? 'failed' : 'degraded', textOf(troubles));
  const bytes = {
    free: disk?.free_bytes,
    total: disk?.total_bytes,
    base: disk?.base_bytes,
    wal: disk?.wal_bytes,
  };
  const samples = Object.entries(bytes).flatMap(([what, value]) =>
    value === undefined || value === null ? [] : [{ labels: { what }, value }],
  );
  metrics.replace('compute_storage_disk_bytes', samples);
  metrics.replace(
    'compute_storage_troubles',
    troubles.map(({ part, kind }) => ({ labels: { kind, part }, value: 1 })),
  );
}

const textOf = (troubles: Answer['troubles']): string =>
  troubles.map(({ what, reason, act }) => `${what}: ${reason}. What to do: ${act}`).join(' ');
