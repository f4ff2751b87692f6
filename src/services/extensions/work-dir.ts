import { accessSync, constants, mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { ownDir, writeDurable } from '../../process/files.ts';
import { identify } from '../../process/identity.ts';
import { readSmall } from '../../process/regular-file.ts';
import { removeTree } from '../../process/remove-tree.ts';

/** What is known of the files of one extension. */
const JournalEntry = v.object({
  /** False while they are being put into place. */
  complete: v.boolean(),
  /** The process that does, or did it. */
  owner: v.string(),
  /** Absolute paths. */
  files: v.array(v.string()),
});

type JournalEntry = v.InferOutput<typeof JournalEntry>;

const partOf = (owner: string, count: number): string => `part-${owner}-${count}`;
const partName = /^part-(\d+-\d+)-\d+$/;

/** Where archives are downloaded and unpacked, with a note of the files that were installed from each. */
export class WorkDir {
  readonly path: string;
  readonly #owner: string;
  #parts = 0;

  /** @param path an existing directory that this user may write to */
  constructor(path: string) {
    this.path = path;
    this.#owner = ownerOf(process.pid) ?? `${process.pid}-0`;
  }

  /** The directory of the original beside PostgreSQL's programs; where it may not be written, one beside the control files.
   *  @throws the system's error */
  static open(binDir: string, share: string): WorkDir {
    const usual = join(dirname(binDir), 'download_extensions');
    try {
      ownDir(usual, 0o755);
      accessSync(usual, constants.W_OK);
      return new WorkDir(usual);
    } catch {
      const own = join(share, '.download_extensions');
      ownDir(own, 0o700);
      return new WorkDir(own);
    }
  }

  /** A new, empty directory for one download. */
  newPart(): string {
    const part = join(this.path, partOf(this.#owner, ++this.#parts));
    mkdirSync(part, { mode: 0o700 });
    return part;
  }

  /** The files that were installed for an extension. */
  filesOf(extension: string): readonly string[] {
    return this.#read(this.#journal(extension))?.files ?? [];
  }

  /** To be called before the first of the files is put into place, and when the last one is. */
  note(extension: string, files: readonly string[], complete: boolean): void {
    const entry: JournalEntry = { complete, owner: this.#owner, files: [...files] };
    writeDurable(this.#journal(extension), JSON.stringify(entry));
  }

  /** Takes back what was begun: removes the files. */
  async takeBack(extension: string): Promise<void> {
    for (const file of this.filesOf(extension)) await rm(file, { force: true });
    await rm(this.#journal(extension), { force: true });
  }

  /** Removes what processes left that ended in the middle. */
  async clean(log: Log, signal: AbortSignal): Promise<void> {
    for (const name of await readdir(this.path)) {
      const owner = partName.exec(name)?.[1];
      if (owner !== undefined && !isThere(owner)) await removeTree(join(this.path, name), signal);
      if (!name.endsWith(journalEnding)) continue;
      const entry = this.#read(join(this.path, name));
      if (entry === null || entry.complete || isThere(entry.owner)) continue;
      const extension = name.slice(0, -journalEnding.length);
      log.warn(`an earlier installation of the extension ${extension} was cut off: its files are removed`);
      await this.takeBack(extension).catch((error: unknown) => log.warn(explained(error)));
    }
  }

  #journal(extension: string): string {
    return join(this.path, `${extension}${journalEnding}`);
  }

  #read(path: string): JournalEntry | null {
    try {
      return v.parse(JournalEntry, JSON.parse(readSmall(path)));
    } catch {
      return null;
    }
  }
}

const journalEnding = '.files.json';

/** Names a process until the next boot; null: there is none. */
const ownerOf = (pid: number): string | null => {
  const ticks = identify(pid)?.started.split(':').at(-1);
  return ticks === undefined ? null : `${pid}-${ticks}`;
};

const isThere = (owner: string): boolean => ownerOf(Number(owner.split('-', 1)[0])) === owner;
