import { type FSWatcher, watch } from 'node:fs';
import { withLinked } from '../core/abort.ts';
import { sleep } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { readPostmasterPid } from './postmaster-pid.ts';
import type { Exit, RunningProcess } from '../process/process.ts';

const pollMs = 100;

export interface PidFileWatch {
  /** Resolves at the next change of PGDATA, or after 100 ms: some file systems send no notifications. */
  changed(signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Watches PGDATA. Call this before Postgres is started, so that no change is missed. */
export function watchPgdata(pgdata: string): PidFileWatch {
  let wake = new AbortController();
  const notify = (): void => {
    wake.abort();
    wake = new AbortController();
  };
  const watcher = tryWatch(pgdata, (name) =>
    name === null || name === 'postmaster.pid' ? notify() : undefined,
  );
  return {
    async changed(signal) {
      const pause = (either: AbortSignal): Promise<void> => sleep(pollMs, either);
      await withLinked([signal, wake.signal], pause).catch(() => signal.throwIfAborted());
    },
    close: () => watcher?.close(),
  };
}

function tryWatch(pgdata: string, onChange: (name: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(pgdata, { persistent: false }, (_event, name) => onChange(name));
    return watcher.on('error', () => watcher.close());
  } catch {
    return null; // no inotify watch is left, or this file system has none: the poll is enough
  }
}

/** Waits until `postmaster.pid` says `ready` and is our child's, not one from an earlier run.
 *  @throws ComputeError `postgres_start` when the child ends meanwhile */
export async function untilReady(
  postmaster: RunningProcess,
  pgdata: string,
  watching: PidFileWatch,
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  void postmaster.exited.then(() => ended.abort());
  await withLinked([signal, ended.signal], async (either) => {
    for (;;) {
      if (postmaster.exit !== null) throw exitedUnexpectedly(postmaster.exit);
      const file = readPostmasterPid(pgdata);
      if (file?.pid === postmaster.pid && file.status === 'ready') return;
      await watching.changed(either).catch(() => signal.throwIfAborted());
    }
  });
}

const exitedUnexpectedly = ({ code, signal }: Exit): ComputeError =>
  new ComputeError('postgres_start', `Postgres exited unexpectedly with code ${code ?? -1}`, {
    ...(signal === null ? {} : { cause: new Error(`it was ended by ${signal}`) }),
  });
