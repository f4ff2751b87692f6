import { closeSync, constants, openSync } from 'node:fs';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** Opens a directory that is not a symbolic link.
 *  @throws the system's error: ELOOP or ENOTDIR for links and files, ENOENT */
export const openDirectory = (path: string): number => openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

const O_PATH = 0o10000000;

/** Opens a directory only to work on its entries: it need not be readable. Links on the way are followed.
 *  @see https://man7.org/linux/man-pages/man2/open.2.html O_PATH */
export const openForEntries = (path: string): number => openSync(path, O_PATH | O_DIRECTORY);

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
