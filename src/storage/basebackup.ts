import { join } from 'node:path';
import { linked, withLinked } from '../core/abort.ts';
import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { ComputeError, type ErrorCode, causesOf, explained, hintsOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Lsn, formatLsn } from '../core/lsn.ts';
import type { RetryTrack } from '../core/retries.ts';
import { type Pauses, backoffMs, retry } from '../core/retry.ts';
import { sqlStateOf } from '../core/server-words.ts';
import { systemHint } from '../core/system-hints.ts';
import { copySmall } from '../process/regular-file.ts';
import { isRetryable } from './retryable.ts';
import { type PageserverConnection, type PageserverContext, connectPageserver } from './pageserver.ts';
import type { UnpackLimits } from '../tar/bounded.ts';
import { type UnpackResult, unpack } from '../tar/unpack.ts';

export interface BasebackupContext extends Omit<PageserverContext, 'connectMs'> {
  /** An existing directory; the archive may replace all files in it except `keep`. */
  readonly pgdata: string;
  /** Files of ours in `pgdata` that an archive must not replace. */
  readonly keep: ReadonlySet<string>;
  /** Restores `pgdata` to its earlier state; called after each failed attempt that may have written to it. */
  readonly emptied: () => Promise<void>;
  /** True: an archive without a WAL segment is incomplete. */
  readonly needsWal: boolean;
  readonly log: Log;
  readonly track?: RetryTrack;
  readonly limits?: Partial<BasebackupLimits>;
  /** What the archive may unpack to. */
  readonly unpackLimits?: Partial<UnpackLimits>;
}

export interface BasebackupLimits {
  /** Attempts after the first. */
  readonly retries: number;
  /** Milliseconds for connect and authentication of one attempt. */
  readonly connectMs: number;
  /** Milliseconds without a byte. The server may wait 300 s for the LSN before it sends the first. */
  readonly idleMs: number;
  /** Milliseconds for all attempts and pauses together. */
  readonly totalMs: number;
}

export const defaultBasebackupLimits: BasebackupLimits = {
  retries: 10,
  connectMs: 10_000,
  idleMs: 330_000,
  totalMs: 1_800_000,
};

/** Figures of the attempt that succeeded. */
export interface BasebackupFigures {
  readonly connectMicros: number;
  /** From the start of the attempt until all files are written, in milliseconds. */
  readonly ms: number;
  /** Compressed, as received. */
  readonly bytes: number;
  readonly unpacked: UnpackResult;
}

/** A connection to a pageserver that opens while the caller still determines the LSN. */
export interface OpenPageserver {
  /** Fills `pgdata` from the base backup at `lsn`, `0/0` for the latest.
   *  @throws ComputeError `basebackup`: `failed to get basebackup@{lsn}`, the reason in its causes */
  fetch(lsn: Lsn, signal: AbortSignal): Promise<BasebackupFigures>;
  /** Closes the connection. Safe at any time; required when `fetch` is never called. */
  close(): void;
}

const pauses: Pauses = { firstMs: 500, factor: 1.5, jitter: [1, 1.2] };

/** Milliseconds. A connection that was opened earlier is replaced: a proxy or firewall in between may have dropped it. */
const freshMs = 10_000;

/** The number of retries from a test's environment variable, else the default. Numbers out of range are ignored. */
export function basebackupRetries(env: NodeJS.ProcessEnv): number {
  const text = env['NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES'] ?? '';
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : defaultBasebackupLimits.retries;
}

/** Begins to connect and returns at once; the first attempt of `fetch` reports a failed connection. */
export function openPageserver(context: BasebackupContext, signal: AbortSignal): OpenPageserver {
  const limits = { ...defaultBasebackupLimits, ...context.limits };
  const closed = linked(signal);
  const connect = (signal: AbortSignal): Promise<PageserverConnection> =>
    connectPageserver({ ...context, connectMs: limits.connectMs }, signal);
  let ahead: Promise<PageserverConnection> | null = connect(closed.signal);
  ahead.catch(() => {});
  /** The first time the connection opened ahead, if it still works; else a new one. */
  const take = async (signal: AbortSignal): Promise<PageserverConnection> => {
    const opening = ahead;
    ahead = null;
    const open = await opening;
    if (open !== null && monotonicMs() - open.openedMs < freshMs && open.alive()) return open;
    open?.close();
    return connect(signal);
  };
  return {
    fetch: (lsn, signal) =>
      withLinked([signal, closed.signal], (either) => attempts(context, limits, take, lsn, either)).finally(
        () => closed.release(),
      ),
    close() {
      closed.abort();
      closed.release();
      ahead?.then((open) => open.close()).catch(() => {});
    },
  };
}

async function attempts(
  context: BasebackupContext,
  limits: BasebackupLimits,
  connect: (signal: AbortSignal) => Promise<PageserverConnection>,
  lsn: Lsn,
  signal: AbortSignal,
): Promise<BasebackupFigures> {
  try {
    return await retry(
      (inTime) => fetchOnce(context, limits, connect, lsn, inTime),
      {
        what: 'the base backup',
        pauseMs: (failures) => backoffMs(failures, pauses),
        attempts: limits.retries + 1,
        totalMs: limits.totalMs,
        retryable: isRetryable,
        track: context.track,
        onRetry: ({ attempt, pauseMs, error }) =>
          context.log.warn(
            { attempt, pauseMs, error: explained(error) },
            'the base backup failed and is retried',
          ),
      },
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    throw new ComputeError(kindOf(error), `failed to get basebackup@${formatLsn(lsn)}`, {
      cause: error,
      ...hintFor(error),
    });
  }
}

/** Where the archive or this machine is at fault, the code says so. */
const kindOf = (error: unknown): ErrorCode =>
  causesOf(error)
    .map((one) => (one instanceof ComputeError ? one.code : null))
    .find((code) => code === 'archive_invalid' || code === 'pgdata_refused') ?? 'basebackup';

/** Where none of the causes says what to do. */
function hintFor(error: unknown): { readonly hint?: string } {
  if (hintsOf(error).length > 0) return {};
  const state = causesOf(error)
    .map(sqlStateOf)
    .find((one) => one !== null);
  if (state?.startsWith('28') === true)
    return { hint: 'the pageserver refuses the token: check storage_auth_token of the spec' };
  if (state !== undefined)
    return {
      hint: 'compare tenant_id and timeline_id of the spec with the storage, and look at the log of the pageserver',
    };
  if (kindOf(error) === 'archive_invalid')
    return { hint: 'nothing of the archive is used: look for the fault where the pageserver makes it' };
  return {
    hint: 'check pageserver_connstring of the spec, whether the pageserver runs, and its log: it must be reachable from this machine',
  };
}

async function fetchOnce(
  context: BasebackupContext,
  limits: BasebackupLimits,
  connect: (signal: AbortSignal) => Promise<PageserverConnection>,
  lsn: Lsn,
  signal: AbortSignal,
): Promise<BasebackupFigures> {
  const startMs = monotonicMs();
  const connection = await connect(signal);
  try {
    const copy = await connection.basebackup(lsn, limits.idleMs, signal);
    try {
      const { pgdata: dir, keep } = context;
      const unpacked = await unpack(
        copy.chunks,
        { dir, keep, gzip: true, limits: context.unpackLimits ?? {} },
        signal,
      );
      await copy.finished;
      checkComplete(unpacked, context.needsWal);
      fixSignalFile(dir);
      const { connectMicros } = connection;
      return { connectMicros, ms: elapsedMs(startMs), bytes: copy.bytes(), unpacked };
    } catch (error) {
      // A server error or a timeout is the cause of a broken archive, so it is reported first.
      const cause = isOwnTrouble(error) ? error : (copy.failure() ?? error);
      await context.emptied();
      throw cause;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (isOwnTrouble(error)) throw ownTrouble(error, context.pgdata);
    throw new ComputeError('basebackup', `pageserver ${connection.where}`, { cause: error });
  } finally {
    connection.close();
  }
}

/** A disk that is full or not writable, too many open files: nothing that the pageserver did. */
const isOwnTrouble = (error: unknown): boolean =>
  causesOf(error).some((one) =>
    one instanceof ComputeError ? one.code === 'pgdata_refused' : systemHint(one) !== null,
  );

const ownTrouble = (error: unknown, pgdata: string): unknown =>
  error instanceof ComputeError
    ? error
    : new ComputeError('pgdata_refused', `cannot unpack the base backup into ${pgdata}`, { cause: error });

const walSegment = /^pg_wal\/[0-9A-F]{24}$/;

function checkComplete({ names }: UnpackResult, needsWal: boolean): void {
  const missing = ['PG_VERSION', 'global/pg_control'].find((name) => !names.has(name));
  const what =
    missing ?? (needsWal && ![...names].some((name) => walSegment.test(name)) ? 'a WAL segment' : null);
  if (what !== null) {
    throw new ComputeError('archive_invalid', `the base backup is incomplete: ${what} is missing`);
  }
}

/** Copies `zenith.signal` to `neon.signal`: old pageservers send only the old name. */
const fixSignalFile = (pgdata: string): boolean =>
  copySmall(join(pgdata, 'zenith.signal'), join(pgdata, 'neon.signal'));
