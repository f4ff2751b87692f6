import { closeSync, mkdirSync } from 'node:fs';
import { entryOf, openDirectory } from '../process/dir-fd.ts';

const mostOpen = 64;

/** The directories of an archive while it is unpacked, each opened relative to the one above it. So an entry is never
 *  written through a symbolic link, also not through one that replaces a directory meanwhile. */
export class Directories {
  readonly #root: number;
  /** By name, the one that was opened last at the end. */
  readonly #open = new Map<string, number>();

  /** @param path an existing directory. @throws the system's error, for a symbolic link, too */
  constructor(path: string) {
    this.#root = openDirectory(path);
  }

  /** The path of an entry, through the descriptor of its directory; to be used at once. Missing directories are created
   *  with mode 0700.
   *  @throws the system's error: ELOOP or ENOTDIR when the way leads through a link or a file */
  entry(name: string): string {
    const slash = name.lastIndexOf('/');
    return entryOf(this.descriptor(name.slice(0, Math.max(slash, 0))), name.slice(slash + 1));
  }

  /** A descriptor of a directory, which is created when it is missing; to be used at once.
   *  @param name empty for the archive's own directory */
  descriptor(name: string): number {
    if (name === '') return this.#root;
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const path = this.entry(name);
    try {
      mkdirSync(path, 0o700);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const fd = openDirectory(path);
    this.#open.set(name, fd);
    if (this.#open.size > mostOpen) this.#closeOldest();
    return fd;
  }

  close(): void {
    for (const fd of [this.#root, ...this.#open.values()]) closeSync(fd);
    this.#open.clear();
  }

  #closeOldest(): void {
    const [oldest] = this.#open;
    if (oldest === undefined) return;
    this.#open.delete(oldest[0]);
    closeSync(oldest[1]);
  }
}
