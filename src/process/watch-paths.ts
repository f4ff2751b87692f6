import { type FSWatcher, lstatSync, readlinkSync, statSync, watch } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { withLinked } from '../core/abort.ts';
import { sleep } from '../core/clock.ts';

interface Watched {
  readonly watcher: FSWatcher;
  readonly ino: number;
  readonly dev: number;
  names: ReadonlySet<string>;
}

const maxLinks = 40;
/** What is written in several steps is looked at when they are over. */
const settleMs = 100;

/** Notifications about files, through all symbolic links on the way to them: their directories are watched, so a file may be
 *  rewritten, renamed over, removed, created, or reached through another link or in another directory. What a file system does
 *  not report is found by looking again after a while. */
export class PathWatch {
  readonly #paths: readonly string[];
  readonly #onBlind: (error: unknown) => void;
  readonly #watched = new Map<string, Watched>();
  #wake = new AbortController();

  /** @param onBlind called when a directory cannot be watched */
  constructor(paths: readonly string[], onBlind: (error: unknown) => void) {
    this.#paths = paths;
    this.#onBlind = onBlind;
  }

  /** To be called before the files are read: what changes later is not missed. */
  refresh(): void {
    this.#wake = new AbortController();
    // What changed between the look at the links and the beginning of a watch is seen by the second round.
    for (let round = 0; round < 3 && this.#bring(placesOf(this.#paths)); round++);
  }

  /** Resolves at a change since `refresh`, or after `ms`. Rejects with the abort of `signal`. */
  async changed(ms: number, signal: AbortSignal): Promise<void> {
    const { signal: woken } = this.#wake;
    await withLinked([signal, woken], (either) => sleep(ms, either)).catch(() => signal.throwIfAborted());
    if (woken.aborted) await sleep(settleMs, signal);
  }

  close(): void {
    for (const { watcher } of this.#watched.values()) watcher.close();
    this.#watched.clear();
  }

  /** @returns whether another directory is watched than before */
  #bring(places: ReadonlyMap<string, ReadonlySet<string>>): boolean {
    let changed = false;
    for (const [dir, { watcher }] of this.#watched)
      if (!places.has(dir)) {
        watcher.close();
        this.#watched.delete(dir);
      }
    for (const [dir, names] of places) {
      const now = this.#watched.get(dir);
      const stat = statSync(dir, { throwIfNoEntry: false });
      if (now !== undefined && now.ino === stat?.ino && now.dev === stat.dev) {
        now.names = names;
        continue;
      }
      now?.watcher.close();
      this.#watched.delete(dir);
      if (stat === undefined) continue;
      changed = this.#watch(dir, names, stat) || changed;
    }
    return changed;
  }

  #watch(dir: string, names: ReadonlySet<string>, { ino, dev }: { ino: number; dev: number }): boolean {
    try {
      const watcher = watch(dir, { persistent: false }, (_, name) => this.#heard(dir, name));
      watcher.on('error', () => this.#forget(dir));
      this.#watched.set(dir, { watcher, ino, dev, names });
      return true;
    } catch (error) {
      this.#onBlind(error);
      return false;
    }
  }

  #heard(dir: string, name: string | null): void {
    // The directory itself was moved or removed: another one may have its name, and even its number.
    if (name === null || name === basename(dir)) this.#forget(dir);
    else if (this.#watched.get(dir)?.names.has(name) !== true) return;
    this.#wake.abort();
  }

  #forget(dir: string): void {
    this.#watched.get(dir)?.watcher.close();
    this.#watched.delete(dir);
  }
}

/** The directories that decide what the paths lead to, each with the names in it that matter. Where a path ends early, the
 *  name that is missing is one of them. */
function placesOf(paths: readonly string[]): Map<string, Set<string>> {
  const places = new Map<string, Set<string>>();
  const add = (dir: string, name: string): void => {
    const names = places.get(dir);
    if (names === undefined) places.set(dir, new Set([name]));
    else names.add(name);
  };
  for (const path of paths) follow(resolve(path), add);
  return places;
}

function follow(path: string, add: (dir: string, name: string) => void): void {
  const rest = path.split('/');
  let dir = '/';
  for (let links = 0, name = rest.shift(); name !== undefined && links <= maxLinks; name = rest.shift()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      dir = dirname(dir);
      continue;
    }
    const at = join(dir, name);
    const target = linkAt(at);
    if (target === null) add(dir, name);
    if (target === null) return;
    if (target !== undefined) {
      add(dir, name);
      links++;
      if (isAbsolute(target)) dir = '/';
      rest.unshift(...target.split('/'));
    } else if (rest.every((left) => left === '')) add(dir, name);
    else dir = at;
  }
}

/** Undefined: not a link. Null: it cannot be seen. */
function linkAt(path: string): string | null | undefined {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    return stat.isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return null;
  }
}
