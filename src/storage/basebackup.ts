import { copyFileSync, statSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { linked, withLinked } from '../core/abort.ts';
import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { ComputeError, inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Lsn, formatLsn } from '../core/lsn.ts';
import { type Pauses, backoffMs, retry } from '../core/retry.ts';
import type { RunAs } from '../process/os-user.ts';
import { isRetryable } from './retryable.ts';
import { type PageserverConnection, type PageserverContext, connectPageserver } from './pageserver.ts';
import { type UnpackResult, unpack } from '../tar/unpack.ts';

export interface BasebackupContext extends Omit<PageserverContext, 'connectMs'> {
  /** Exists and holds nothing that the archive may not replace. */
  readonly pgdata: string;
  readonly runAs: RunAs;
  /** Files of ours in `pgdata` that an archive must not replace. */
  readonly keep: ReadonlySet<string>;
  /** Puts `pgdata` back to what it was before; called after every attempt that may have written into it. */
  readonly emptied: () => Promise<void>;
  /** True: an archive without a WAL segment is incomplete. */
  readonly needsWal: boolean;
  readonly log: Log;
  readonly limits?: Partial<BasebackupLimits>;
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
  /** From the start of the attempt until everything is in place, in milliseconds. */
  readonly ms: number;
  /** Compressed, as received. */
  readonly bytes: number;
  readonly unpacked: UnpackResult;
}

/** A pageserver that is being connected to, while the caller still finds out the LSN. */
export interface OpenPageserver {
  /** Fills `pgdata` from the base backup at `lsn`, `0/0` for the latest.
   *  @throws ComputeError `basebackup`: `failed to get basebackup@{lsn}`, the reason in its causes */
  fetch(lsn: Lsn, signal: AbortSignal): Promise<BasebackupFigures>;
  /** Cuts the connection. Safe at any time, needed when `fetch` is never called. */
  close(): void;
}

const pauses: Pauses = { firstMs: 500, factor: 1.5, jitter: [1, 1.2] };

/** A connection opened ahead and older than this is replaced: whatever lies between may have forgotten it. */
const freshMs = 10_000;

/** Retries as the environment of a test wishes, else the default. Numbers out of range are ignored. */
export function basebackupRetries(env: NodeJS.ProcessEnv): number {
  const text = env['NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES'] ?? '';
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : defaultBasebackupLimits.retries;
}

/** Begins to connect and returns at once; a failure to connect shows up in the first attempt of `fetch`. */
export function openPageserver(context: BasebackupContext, signal: AbortSignal): OpenPageserver {
  const limits = { ...defaultBasebackupLimits, ...context.limits };
  const closed = linked(signal);
  const connect = (signal: AbortSignal): Promise<PageserverConnection> =>
    connectPageserver({ ...context, connectMs: limits.connectMs }, signal);
  let ahead: Promise<PageserverConnection> | null = connect(closed.signal);
  ahead.catch(() => {});
  /** The connection opened ahead, once, if it is still good. */
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
        onRetry: ({ attempt, pauseMs, error }) =>
          context.log.warn({ attempt, pauseMs, error: inline(error) }, 'base backup failed, trying again'),
      },
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    throw new ComputeError('basebackup', `failed to get basebackup@${formatLsn(lsn)}`, { cause: error });
  }
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
      const { pgdata: dir, runAs, keep } = context;
      const unpacked = await unpack(copy.chunks, { dir, runAs, keep, gzip: true }, signal);
      await copy.finished;
      checkComplete(unpacked, context.needsWal);
      await fixSignalFile(dir, runAs);
      const { connectMicros } = connection;
      return { connectMicros, ms: elapsedMs(startMs), bytes: copy.bytes(), unpacked };
    } catch (error) {
      // What the server or the clock said explains the broken archive, and not the other way round.
      const cause = copy.failure() ?? error;
      await context.emptied();
      throw cause;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw new ComputeError('basebackup', `pageserver ${connection.where}`, { cause: error });
  } finally {
    connection.close();
  }
}

const walSegment = /^pg_wal\/[0-9A-F]{24}$/;

function checkComplete({ names }: UnpackResult, needsWal: boolean): void {
  const missing = ['PG_VERSION', 'global/pg_control'].find((name) => !names.has(name));
  const what =
    missing ?? (needsWal && ![...names].some((name) => walSegment.test(name)) ? 'a WAL segment' : null);
  if (what !== null) {
    throw new ComputeError('archive_invalid', `the archive ended well, but ${what} is not in it`);
  }
}

/** Old pageservers send the file under its old name only. */
async function fixSignalFile(pgdata: string, runAs: RunAs): Promise<void> {
  const [now, old] = [join(pgdata, 'neon.signal'), join(pgdata, 'zenith.signal')];
  const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  if (isFile(now) || !isFile(old)) return;
  copyFileSync(old, now);
  if (runAs !== null) await chown(now, runAs.uid, runAs.gid);
}
