import { type FSWatcher, existsSync, watch } from 'node:fs';
import { join } from 'node:path';
import { withLinked } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import type { Socket } from './tools.ts';

/** How often it is looked at all the same: not every file system reports what others do. */
const idleMs = 1000;
/** The same for a directory that cannot be watched, or is not there. */
const blindMs = 50;

/** The file that PostgreSQL keeps beside its socket, from before the start until after the stop. */
export const socketLock = ({ dir, port }: Socket): string => join(dir, `.s.PGSQL.${port}.lock`);

/** Resolves when a server has, or had, the socket; at once when one has. Waiting costs nothing, for as long as a compute sleeps. */
export async function untilLocked(server: Socket, signal: AbortSignal): Promise<void> {
  const lock = socketLock(server);
  for (;;) {
    signal.throwIfAborted();
    const changed = new AbortController();
    // Before the look, so that nothing is missed; anew each time, since the directory may be another one by now.
    const watcher = watched(server.dir, () => changed.abort());
    try {
      if (existsSync(lock)) return;
      await withLinked([signal, changed.signal], (either) =>
        sleep(watcher === null ? blindMs : idleMs, either),
      ).catch(() => signal.throwIfAborted());
    } finally {
      watcher?.close();
    }
  }
}

/** Null when the directory cannot be watched. */
function watched(dir: string, onChange: () => void): FSWatcher | null {
  try {
    const watcher = watch(dir, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
