import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  unlinkSync,
} from 'node:fs';
import { entryOf, withDirectory } from '../process/dir-fd.ts';
import { type Positions, fileKey } from './rsyslog/positions.ts';

export interface AuditLimits {
  /** A file that was not written for so long, and that rsyslogd has read to its end, is removed. */
  readonly idleMs: number;
  /** For all audit files together. */
  readonly bytes: number;
}

export interface UnreadFile {
  readonly key: string;
  readonly name: string;
  /** How far it is read; null: rsyslogd has not opened it. */
  readonly position: number | null;
  readonly bytes: number;
}

export interface AuditFiles {
  /** Of all files directly in the directory whose names end in `log`. */
  readonly logBytes: number;
  /** When the last audit file was written, in milliseconds since 1970; 0: there is none. */
  readonly writtenMs: number;
  /** The files that rsyslogd has not read to their end; empty when that cannot be seen. */
  readonly unread: readonly UnreadFile[];
  /** Bytes that were removed for want of space, and of which it is not known that rsyslogd has read them. */
  readonly lostBytes: number;
}

interface AuditFile {
  readonly name: string;
  readonly path: string;
  readonly key: string;
  readonly size: number;
  readonly writtenMs: number;
}

const none: AuditFiles = { logBytes: 0, writtenMs: 0, unread: [], lostBytes: 0 };
/** pgauditlogtofile puts all files into one directory; the original looks below it, too. */
const deepest = 4;

/** Removes what is no longer needed, and the oldest when there is too much. It never leaves the directory and follows no
 *  link.
 *  @param positions null: unknown, so that only the age counts
 *  @throws the system's error, but not when there is no such directory */
export async function cleanAuditFiles(
  directory: string,
  limits: AuditLimits,
  positions: Positions | null,
  nowMs = Date.now(),
): Promise<AuditFiles> {
  try {
    return await withDirectory(directory, (fd) => clean(fd, limits, positions, nowMs));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return none;
    throw error;
  }
}

async function clean(
  fd: number,
  { idleMs, bytes }: AuditLimits,
  positions: Positions | null,
  nowMs: number,
): Promise<AuditFiles> {
  const isOld = (file: AuditFile): boolean => file.writtenMs < nowMs - idleMs;
  for (const file of auditFiles(fd))
    if (isOld(file) && unreadBytes(file, positions) === 0) remove(file, false);
  await removeBelow(fd, isOld, deepest);
  const files = auditFiles(fd).toSorted((a, b) => a.writtenMs - b.writtenMs);
  let total = files.reduce((sum, { size }) => sum + size, 0);
  let lostBytes = 0;
  for (const file of files) {
    if (total <= bytes) break;
    // The newest is still written: only its content goes.
    remove(file, file === files.at(-1));
    total -= file.size;
    lostBytes += positions === null ? file.size : unreadBytes(file, positions);
  }
  const left = auditFiles(fd);
  return {
    logBytes: logFiles(fd).reduce((sum, { size }) => sum + size, 0),
    writtenMs: Math.max(0, ...left.map(({ writtenMs }) => writtenMs)),
    unread: left
      .map((file) => ({
        key: file.key,
        name: file.name,
        position: positions?.get(file.key) ?? null,
        bytes: unreadBytes(file, positions),
      }))
      .filter((one) => one.bytes > 0),
    lostBytes,
  };
}

const unreadBytes = ({ key, size }: AuditFile, positions: Positions | null): number =>
  positions === null ? 0 : Math.max(0, size - (positions.get(key) ?? 0));

/** There rsyslogd reads nothing. */
async function removeBelow(fd: number, isOld: (file: AuditFile) => boolean, depth: number): Promise<void> {
  if (depth === 0) return;
  const directories = readdirSync(pathOf(fd), { withFileTypes: true }).filter((one) => one.isDirectory());
  for (const { name } of directories) {
    try {
      await withDirectory(entryOf(fd, name), async (below) => {
        for (const file of auditFiles(below)) if (isOld(file)) remove(file, false);
        await removeBelow(below, isOld, depth - 1);
      });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

const pathOf = (fd: number): string => `/proc/self/fd/${fd}`;

const auditFiles = (fd: number): AuditFile[] =>
  logFiles(fd).filter(({ name }) => /^audit.*\.log$/.test(name));

function logFiles(fd: number): AuditFile[] {
  const names = readdirSync(pathOf(fd)).filter((name) => name.endsWith('log'));
  return names.flatMap((name) => {
    const path = entryOf(fd, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || !found.isFile()) return [];
    return [{ name, path, key: fileKey(found), size: found.size, writtenMs: found.mtimeMs }];
  });
}

const { O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Empties the file first: a process that still has it open would keep its space. Not one that has another name too, which
 *  may be a file of Postgres.
 *  @param keep only empties it */
function remove({ path }: AuditFile, keep: boolean): void {
  try {
    const fd = openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    let linked: boolean;
    try {
      const { nlink } = fstatSync(fd);
      linked = nlink > 1;
      if (nlink === 1) ftruncateSync(fd);
    } finally {
      closeSync(fd);
    }
    if (!keep || linked) unlinkSync(path);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Also: replaced by a link meanwhile, or a directory by something else. */
const isGone = (error: unknown): boolean =>
  ['ENOENT', 'ELOOP', 'ENOTDIR', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '');
