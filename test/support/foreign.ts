import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  chmodSync,
  existsSync,
  linkSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { osUser } from './postgres-versions.ts';
import { scratchDir } from './scratch.ts';

/** What somebody else may put into a directory. `of-root` and `mount` need root. */
export const foreignKinds = [
  'file',
  'empty-file',
  'folder',
  'empty-folder',
  'link-to-file',
  'link-to-folder',
  'link-to-nothing',
  'hard-link',
  'fifo',
  'of-root',
  'read-only-folder',
  'mount',
] as const;
export type ForeignKind = (typeof foreignKinds)[number];

/** Containers often may not mount. */
function mayMount(): boolean {
  const dir = scratchDir('may');
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', dir]).status === 0;
  if (mounted) execFileSync('umount', [dir]);
  rmSync(dir, { recursive: true });
  return mounted;
}
let mountable: boolean | undefined;

/** Everything that is known of one entry: to compare before and after. The time of the last change of the inode and the
 *  number of links are left out: a rename changes the first, and the second is the other name's. */
function factsOf(path: string): string {
  const stat: BigIntStats = lstatSync(path, { bigint: true });
  const { dev, ino, mode, uid, gid, size, mtimeNs } = stat;
  const content = stat.isFile()
    ? createHash('sha1').update(readFileSync(path)).digest('hex')
    : stat.isSymbolicLink()
      ? readlinkSync(path)
      : '';
  const below = stat.isDirectory()
    ? readdirSync(path)
        .toSorted()
        .map((name) => `${name}: ${factsOf(join(path, name))}`)
    : [];
  const bytes = stat.isDirectory() ? 0n : size;
  return [[dev, ino, mode, uid, gid, bytes, mtimeNs, content].join(' '), ...below].join('\n');
}

/** Things of somebody else in a directory, and what they were like. */
export class Foreign {
  /** Facts by path, relative to the directory. */
  readonly #facts = new Map<string, string>();
  /** Outside of the directory: what links lead to. */
  readonly #beyond = scratchDir('beyond');
  readonly #mounts: string[] = [];
  readonly #readOnly: string[] = [];
  /** Second names, of what is being planted. */
  readonly #others: string[] = [];
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
    for (const name of ['target', 'folder/target']) {
      mkdirSync(dirname(join(this.#beyond, name)), { recursive: true });
      writeFileSync(join(this.#beyond, name), name);
    }
    this.#own(this.#beyond);
    this.#facts.set(this.#beyond, factsOf(this.#beyond));
  }

  #at(path: string): string {
    return path.startsWith('/') ? path : join(this.#dir, path);
  }

  /** Paths relative to the directory. */
  paths(): string[] {
    return [...this.#facts.keys()].filter((path) => !path.startsWith('/'));
  }

  /** @param path relative to the directory, new */
  plant(path: string, kind: ForeignKind): void {
    const at = join(this.#dir, path);
    this.#make(at, kind);
    utimesOf(at, kind);
    for (const one of [path, ...this.#others.splice(0)]) this.#facts.set(one, factsOf(this.#at(one)));
  }

  #make(at: string, kind: ForeignKind): void {
    const content = `${kind} ${basename(at)}`;
    if (kind === 'file' || kind === 'of-root') writeFileSync(at, content);
    else if (kind === 'empty-file') writeFileSync(at, '');
    else if (kind === 'hard-link') {
      // On the same file system, and so beside the directory.
      const other = `${this.#dir}-${basename(at)}`;
      writeFileSync(other, content);
      this.#own(other);
      linkSync(other, at);
      this.#others.push(other);
    } else if (kind === 'link-to-file') symlinkSync(join(this.#beyond, 'target'), at);
    else if (kind === 'link-to-folder') symlinkSync(join(this.#beyond, 'folder'), at);
    else if (kind === 'link-to-nothing') symlinkSync('/nonexistent/of somebody', at);
    else if (kind === 'fifo') execFileSync('mkfifo', ['-m', '640', at]);
    else {
      mkdirSync(at);
      mountable ??= kind === 'mount' ? mayMount() : undefined;
      if (kind === 'mount' && mountable === true) {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', at]);
        this.#mounts.push(at);
      }
      if (kind !== 'empty-folder') {
        mkdirSync(join(at, 'below'));
        for (const name of ['notes', 'below/local.json', 'below/PG_VERSION'])
          writeFileSync(join(at, name), `${name} in ${basename(at)}`);
      }
    }
    if (kind === 'of-root') chmodSync(at, 0o600);
    else this.#own(at);
    if (kind !== 'read-only-folder') return;
    chmodSync(at, 0o500);
    this.#readOnly.push(at);
  }

  #own(path: string): void {
    if (osUser === null) return;
    lchownSync(path, osUser.uid, osUser.gid);
    if (!lstatSync(path).isDirectory()) return;
    for (const name of readdirSync(path)) this.#own(join(path, name));
  }

  /** Moves one out of the way, as its owner would. */
  move(path: string, to: string, rename: (from: string, to: string) => void): void {
    rename(join(this.#dir, path), join(this.#dir, to));
    const facts = this.#facts.get(path) as string;
    this.#facts.delete(path);
    this.#facts.set(to, facts);
  }

  /** What is not as it was.
   *  @param nowAt where it may have been moved to meanwhile, also relative */
  changes(nowAt: (path: string) => string): string[] {
    return [...this.#facts].flatMap(([path, before]) => {
      const places = [this.#at(path), this.#at(nowAt(path))];
      const found = places.find((place) => lstatSync(place, { throwIfNoEntry: false }) !== undefined);
      const now = found === undefined ? 'missing' : factsOf(found);
      return now === before ? [] : [`${path} was ${before}, and is ${now}`];
    });
  }

  /** Before the directory is removed. */
  makeRemovable(): void {
    for (const mount of this.#mounts) spawnSync('umount', ['-l', mount]);
    for (const path of this.#readOnly) if (existsSync(path)) chmodSync(path, 0o700);
  }

  clean(): void {
    for (const path of this.#facts.keys())
      if (path.startsWith('/')) rmSync(path, { recursive: true, force: true });
  }
}

/** Long ago, so that a change of the time cannot be missed. */
function utimesOf(path: string, kind: ForeignKind): void {
  if (kind.startsWith('link-')) return;
  utimesSync(path, 1_000_000_000, 1_000_000_000);
}
