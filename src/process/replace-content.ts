import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { renameDurable } from './files.ts';

/** Why a new file cannot take the place of the old one: the directory is another user's, the owner cannot be kept, or the
 *  file is a mount of its own. */
const inPlace = ['EACCES', 'EPERM', 'EBUSY'];

/** Replaces the content of somebody else's file, and keeps its mode and owner; a symbolic link stays one. A reader sees the
 *  old content or the new one. Only where a new file cannot take its place, the file itself is written, in one call.
 *  @throws the system's error, as ENOENT or EROFS; the old content is still there */
export function replaceContent(path: string, text: string | Buffer): void {
  const target = realpathSync(path);
  const content = Buffer.from(text);
  try {
    replaceWhole(target, content);
  } catch (error) {
    if (!inPlace.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    overwrite(target, content);
  }
}

function replaceWhole(path: string, content: Buffer): void {
  const fresh = `${path}.new`;
  const { uid, gid, mode } = statSync(path);
  rmSync(fresh, { force: true });
  try {
    const fd = openSync(fresh, 'wx', 0o600);
    try {
      fchownSync(fd, uid, gid);
      fchmodSync(fd, mode & 0o7777);
      writeAll(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameDurable(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

const { O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

function overwrite(path: string, content: Buffer): void {
  const fd = openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    writeAll(fd, content);
    ftruncateSync(fd, content.length);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, content: Buffer): void {
  for (let at = 0; at < content.length;) at += writeSync(fd, content, at, content.length - at, at);
}
