import { type Dirent, closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { entryOf } from '../process/dir-fd.ts';
import { ruleOf } from '../process/made.ts';
import { readSmall } from '../process/regular-file.ts';
import { entriesThatCount } from './entries.ts';
import { dirMarker, lockName, madeDir, proofs, resetNote } from './made.ts';
import { refuseOverlap, refuseOverlapInside } from './overlap.ts';
import { type LocalDir, type LocalState, commandFor, isState, readState } from './state.ts';
import { type HeldTimeline, currentBase, heldTimelines, timelineDir } from './storage/layout.ts';

/** What a directory is to compute-local. */
export type Found =
  /** Missing or empty. */
  { readonly kind: 'new' } | Own;

export interface Own {
  readonly kind: 'own';
  readonly state: LocalState | null;
  /** Without `state`: the timeline that the storage holds, for which one can be created again. */
  readonly lost: HeldTimeline | null;
  /** The state of a database that a reset has begun to remove: its data counts as deleted. */
  readonly resetting: LocalState | null;
}

const { O_RDONLY, O_DIRECTORY } = constants;

type Purpose = 'use' | 'reset' | 'stop';

/** Looks at a directory without changing anything.
 *  @param purpose `reset` and `stop` do not need usable data where the marker says that it is ours; what runs in a directory
 *  of ours can always be stopped
 *  @throws ComputeError `dir_refused` when it is neither empty nor compute-local's, or overlaps another one;
 *  `config_unreadable` */
export function inspectDir(dir: LocalDir, purpose: Purpose = 'use'): Found {
  if (purpose !== 'stop') refuseOverlap(dir.root);
  const fd = openRoot(dir.root);
  if (fd === null) return { kind: 'new' };
  try {
    const entries = entriesThatCount(fd).filter(
      ({ name }) => ![lockName, `${dirMarker.file}.new`].includes(name),
    );
    if (entries.length === 0) return refuseShared(dir, fd);
    refuseOthers(dir, fd);
    const own = ownOf(dir, fd, purpose);
    if (own === null) throw refuseForeign(dir, entries);
    if (purpose === 'stop') return own;
    refuseLinks(dir, entries);
    refuseOverlapInside(dir.root, fd, foreignIn(entries));
    return own;
  } finally {
    closeSync(fd);
  }
}

/** The entries that compute-local does not make. */
const foreignIn = (entries: readonly Dirent[]): Dirent[] => {
  const made = [...madeDir(null), ...proofs];
  return entries.filter((entry) => ruleOf(made, entry) === -1);
};

/** A descriptor; null when it is missing. The directory may be reached by a link. */
function openRoot(root: string): number | null {
  try {
    return openSync(root, O_RDONLY | O_DIRECTORY);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' && lstatSync(root, { throwIfNoEntry: false }) === undefined) return null;
    if (code === 'EACCES')
      throw refused(
        `${root} cannot be opened`,
        `let uid ${process.getuid?.()}, which compute-local runs as, enter it and the directories above it, or choose another directory with --dir`,
        cause,
      );
    const why = code === 'ENOTDIR' ? 'is not a directory' : `cannot be opened (${code})`;
    throw refused(`${root} ${why}`, 'choose another directory with --dir');
  }
}

/** A directory such as /tmp is everybody's, also while it is empty. */
function refuseShared({ root }: LocalDir, fd: number): Found {
  const { uid, mode } = fstatSync(fd);
  if (uid === process.getuid?.() || (mode & 0o1000) === 0) return { kind: 'new' };
  throw refused(
    `${root} is shared by all users of this machine`,
    `choose a directory in it: --dir ${root}/…`,
  );
}

/** One that another user's compute-local created, as after a restore or a run as another user: its files cannot be used, and
 *  the reasons that follow from that would mislead. */
function refuseOthers({ root }: LocalDir, fd: number): void {
  const stat = lstatSync(entryOf(fd, dirMarker.file), { throwIfNoEntry: false });
  const uid = process.getuid?.();
  if (stat?.isFile() !== true || stat.uid === uid) return;
  throw refused(
    `${root} was created by compute-local of the user with uid ${stat.uid}, and this one runs with uid ${uid}`,
    `run it as that user, or give everything in it to this one: chown -R ${uid} ${root}; nothing was changed`,
  );
}

function ownOf(dir: LocalDir, fd: number, purpose: Purpose): Own | null {
  const isTolerant = purpose !== 'use';
  const marked = dirMarker.isIn(fd);
  const resetting = stateIn(fd, resetNote);
  // An earlier version wrote no marker. Its state, or its storage, shows the same.
  const state = marked && !isTolerant ? readState(dir) : stateIn(fd, 'local.json');
  if (resetting !== null) return { kind: 'own', state: null, lost: null, resetting };
  if (state !== null) return { kind: 'own', state, lost: null, resetting };
  const held = heldTimelines(dir.storage);
  if (held.length === 0) return marked ? { kind: 'own', state, lost: null, resetting } : null;
  const [only = null] = held;
  if ((marked && isTolerant) || purpose === 'stop') return { kind: 'own', state, lost: only, resetting };
  // A damaged one must not be replaced.
  if (lstatSync(dir.state, { throwIfNoEntry: false }) !== undefined) readState(dir);
  if (held.length === 1 && only !== null && isUsable(dir, only))
    return { kind: 'own', state, lost: only, resetting };
  throw refused(
    `${dir.state} is missing, and the storage in ${dir.root} holds ${namesOf(held)}`,
    'restore the file from a backup; nothing was changed',
  );
}

function isUsable({ storage }: LocalDir, { tenantId, timelineId }: HeldTimeline): boolean {
  try {
    const dir = timelineDir(storage, tenantId, timelineId);
    return lstatSync(dir.root).uid === process.getuid?.() && currentBase(dir) !== null;
  } catch {
    return false;
  }
}

/** The state in a file of this user, when that is what the file holds.
 *  @param dir a descriptor */
export function stateIn(dir: number, name: string, uid = process.getuid?.()): LocalState | null {
  const path = entryOf(dir, name);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || stat.uid !== uid) return null;
  try {
    const found: unknown = JSON.parse(readSmall(path));
    return isState(found) ? found : null;
  } catch {
    return null;
  }
}

/** Nobody but the user can have put a link in the place of one of our directories, and it could lead into another's. */
function refuseLinks({ root }: LocalDir, entries: readonly Dirent[]): void {
  const ours =
    /^(nodes|branches|pgdata|pgdata\.(next(\.new)?|template)|run|log|storage|up\.lock|pgdata\.lock)$/;
  const link = entries.find((entry) => ours.test(entry.name) && !entry.isDirectory());
  if (link !== undefined) throw notDirectory(join(root, link.name));
}

const notDirectory = (path: string): ComputeError =>
  refused(
    `${path} is not a directory, or is a symbolic link to one`,
    'mount the other place there, or choose another directory with --dir',
  );

/** Refuses to go on where the storage does not hold what the state says.
 *  @throws ComputeError `dir_refused` naming tenant and timeline */
export function refuseLoss(dir: LocalDir, { tenantId, timelineId, systemId }: LocalState): void {
  const held = heldTimelines(dir.storage);
  if (held.some((one) => one.tenantId === tenantId && one.timelineId === timelineId)) return;
  const wanted = namesOf([{ tenantId, timelineId }]);
  if (held.length > 0)
    throw refused(
      `the storage in ${dir.storage} holds ${namesOf(held)}, but ${dir.state} names ${wanted}`,
      'put the file and the storage that belong together there; nothing was changed',
    );
  if (systemId !== undefined)
    throw refused(
      `the data is missing: ${dir.storage} does not hold ${wanted}`,
      `mount or restore it; to begin anew without it: ${commandFor(dir, 'reset')}`,
    );
}

const namesOf = (held: readonly HeldTimeline[]): string =>
  held.map(({ tenantId, timelineId }) => `tenant ${tenantId}, timeline ${timelineId}`).join(' and ');

function refuseForeign({ root }: LocalDir, entries: readonly Dirent[]): ComputeError {
  const others = entries.filter(({ name }) => name !== dirMarker.file);
  const some = others.slice(0, 5).map(({ name }) => name);
  const names = `${some.join(', ')}${others.length > some.length ? ', …' : ''}`;
  const isCopied = others.length < entries.length;
  return refused(
    `${root} is not empty, and compute-local did not create what is in it: ${names}${isCopied ? `; its ${dirMarker.file} was created for another directory` : ''}`,
    'choose an empty or a new directory with --dir; nothing was changed',
  );
}

const refused = (message: string, hint: string, cause?: unknown): ComputeError =>
  new ComputeError('dir_refused', message, { hint, cause });

/** The directory of a node, below `nodes`, which are ours.
 *  @throws ComputeError `dir_refused` when a link or a file is in the place of it or of a directory in it */
export function refuseNodeLinks(node: LocalDir): void {
  for (const path of [dirname(node.root), node.root]) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === false) throw notDirectory(path);
  }
  const fd = openRoot(node.root);
  if (fd === null) return;
  try {
    refuseLinks(node, entriesThatCount(fd));
  } finally {
    closeSync(fd);
  }
}
