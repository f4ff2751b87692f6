import { closeSync, constants, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { ComputeError } from '../core/errors.ts';

// Files that another process may have put where one of ours is expected: a link is not followed, a fifo is not waited for, and
// no more is read than such a file may have.

const { O_RDONLY, O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Opens a regular file for reading.
 *  @throws ComputeError `pgdata_refused` for links, fifos, devices, sockets and directories; the system's error, as ENOENT */
export const openRegular = (path: string): number => open(path, O_RDONLY | O_NOFOLLOW);

/** The same for a path from the config, which may be a symbolic link (as in volumes of secrets). */
export const openRegularByLink = (path: string): number => open(path, O_RDONLY);

/** Opens a regular file for appending; a missing one is created.
 *  @throws as `openRegular` */
export const openForAppend = (path: string, mode: number): number =>
  open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, mode);

function open(path: string, flags: number, mode?: number): number {
  let fd: number;
  try {
    fd = openSync(path, flags | O_NONBLOCK, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP') throw refused(path, 'is a symbolic link', error);
    // A socket, a fifo that nobody reads, or a directory that would be written.
    if (code === 'ENXIO' || code === 'EISDIR') throw refused(path, 'is not a file', error);
    throw error;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw refused(path, 'is not a file');
}

/** Reads a whole file.
 *  @throws as `openRegular`; ComputeError `pgdata_refused` when it is larger than `maxBytes` */
export function readRegular(path: string, maxBytes: number): Buffer {
  return readAll(path, openRegular(path), maxBytes);
}

/** `readRegular` for small text files: settings, pid files, JSON. At most 1 MiB. */
export const readSmall = (path: string): string => readRegular(path, smallBytes).toString('utf8');

/** `readSmall` of a path from the config, which may be a symbolic link. */
export const readSmallByLink = (path: string): string => readBytesByLink(path).toString('utf8');

/** The same, as it is. */
export const readBytesByLink = (path: string): Buffer => readAll(path, openRegularByLink(path), smallBytes);

const smallBytes = 1024 * 1024;

function readAll(path: string, fd: number, maxBytes: number): Buffer {
  try {
    const { size } = fstatSync(fd);
    if (size > maxBytes) throw refused(path, `has ${size} bytes, more than ${maxBytes}`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Copies a small file to a new one. False when there is nothing to copy, or the new one exists already. */
export function copySmall(from: string, to: string): boolean {
  try {
    writeFileSync(to, readSmall(from), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

const refused = (path: string, why: string, cause?: unknown): ComputeError =>
  new ComputeError('pgdata_refused', `${path} ${why}`, {
    cause,
    hint: 'neither Postgres nor this program created it: remove it',
  });
