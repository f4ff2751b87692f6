import {
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { RunAs } from './os-user.ts';

/** Makes the content of a file, or the entries of a directory, survive a crash of the machine. */
export function fsyncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Replaces a file as a whole: after a crash either the old or the new content is there. */
export function writeDurable(path: string, content: string, mode = 0o600, owner: RunAs = null): void {
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  const fd = openSync(fresh, 'wx', mode);
  try {
    writeSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  if (owner !== null) chownSync(fresh, owner.uid, owner.gid);
  renameDurable(fresh, path);
}

export function renameDurable(from: string, to: string): void {
  renameSync(from, to);
  fsyncPath(dirname(to));
}

/** Points the symbolic link `path` at `target` in one step. */
export function linkDurable(path: string, target: string): void {
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  symlinkSync(target, fresh);
  renameDurable(fresh, path);
}

/** A directory of `owner`, made if missing. */
export function ownDir(path: string, mode: number, owner: RunAs): void {
  mkdirSync(path, { recursive: true, mode });
  if (owner !== null) chownSync(path, owner.uid, owner.gid);
}
