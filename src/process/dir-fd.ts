import { closeSync, constants, openSync } from 'node:fs';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** Opens a directory that is not a symbolic link.
 *  @throws the system's error: ELOOP or ENOTDIR for links and files, ENOENT */
export const openDirectory = (path: string): number => openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

/** The path of an entry relative to an open directory (Node has no openat): what has become of the directory's own path
 *  meanwhile does not matter.
 *  @see https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html */
export const entryOf = (fd: number, name: string): string => `/proc/self/fd/${fd}/${name}`;

/** Runs `work` with an open directory, and closes it. */
export async function withDirectory<T>(path: string, work: (fd: number) => Promise<T>): Promise<T> {
  const fd = openDirectory(path);
  try {
    return await work(fd);
  } finally {
    closeSync(fd);
  }
}
