import { readFileSync, readdirSync, statSync } from 'node:fs';
import { findDaemon } from './daemon.ts';
import type { RsyslogSettings } from './settings.ts';

/** How far rsyslogd has read, by file (`fileKey`). */
export type Positions = ReadonlyMap<string, number>;

export const fileKey = ({ dev, ino }: { readonly dev: number; readonly ino: number }): string =>
  `${dev}:${ino}`;

/** From what the kernel says about its open files. A file that it has not opened is not in it.
 *  @returns null when we may not see that: rsyslogd belongs to another user
 *  @see https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html */
export function readPositions(settings: RsyslogSettings): Positions | null {
  const daemon = findDaemon(settings);
  const positions = new Map<string, number>();
  if (daemon === null) return positions;
  const dir = `/proc/${daemon.pid}`;
  let open: string[];
  try {
    open = readdirSync(`${dir}/fd`);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? positions : null;
  }
  for (const fd of open) {
    try {
      const found = statSync(`${dir}/fd/${fd}`);
      if (!found.isFile()) continue;
      const pos = Number(/^pos:\s+(\d+)/.exec(readFileSync(`${dir}/fdinfo/${fd}`, 'utf8'))?.[1] ?? 0);
      // It opens a file twice: once to recognize it by its beginning.
      positions.set(fileKey(found), Math.max(pos, positions.get(fileKey(found)) ?? 0));
    } catch {
      // Closed meanwhile.
    }
  }
  return positions;
}
