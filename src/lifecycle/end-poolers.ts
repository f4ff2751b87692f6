import { readFileSync } from 'node:fs';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { identify, signalProcess } from '../process/identity.ts';
import { readSmall } from '../process/regular-file.ts';

/** A program in front of Postgres that somebody else has started, known by its pid file. */
export interface Pooler {
  readonly name: string;
  readonly pidFile: string;
  readonly signal: NodeJS.Signals;
}

/** In Neon's images. In a VM init starts them again. */
export const poolers: readonly Pooler[] = [
  { name: 'pgbouncer', pidFile: '/tmp/pgbouncer.pid', signal: 'SIGKILL' },
  { name: 'local_proxy', pidFile: '/etc/local_proxy/pid', signal: 'SIGTERM' },
];

/** Ends the connections that poolers hold to a Postgres that is about to stop, by ending the poolers. Never throws. */
export function endPoolers(log: Log, all: readonly Pooler[] = poolers): void {
  for (const { name, pidFile, signal } of all) {
    try {
      const pid = Number(/^\s*([1-9]\d*)\s*$/.exec(readSmall(pidFile))?.[1]);
      // Anybody may write to /tmp, and a pid may be another process's by now.
      if (Number.isNaN(pid) || commandOf(pid) !== name) continue;
      const one = identify(pid);
      if (one !== null && signalProcess(one, signal)) log.info({ pid }, `sent ${signal} to ${name}`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') log.warn(`could not stop ${name}: ${explained(error)}`);
    }
  }
}

/** The name of the program; the kernel keeps 15 characters of it. */
const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
