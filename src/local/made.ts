import { nodeNamePattern } from '../config/values.ts';
import { isMarked, markerFile } from '../postgres/marker.ts';
import { isPrepared, noteFile, preparedMarker } from '../postgres/prepared/note.ts';
import { createMarker } from '../process/marker.ts';
import { type Made, madeFile } from '../process/made.ts';
import { acceptedName, leftBeside, schemaName } from './desired/names.ts';
import { entriesThatCount } from './entries.ts';
import { systemIdIn } from './pgdata.ts';
import { madeStorage } from './storage/made.ts';

/** In the directory of `--dir`: it was empty when compute-local began to use it. */
export const dirMarker = createMarker(
  'compute-local.marker',
  'compute-local created what it needs in this directory. `compute-local reset` removes that, and nothing else.',
);

/** The name of local.json while a reset runs: from then on the data counts as deleted. */
export const resetNote = 'local.json.reset';
/** Stays: another compute-local may be about to take the lock. */
export const lockName = 'up.lock';
/** Of `apply`. */
const applyLock = 'apply.lock';

const pgdataFiles =
  /^(PG_VERSION|backup_(label|manifest)(\.old|\.tmp)?|tablespace_map(\.old)?|current_logfiles|(postgresql(\.auto)?|pg_hba|pg_ident|compute_ctl_temp_override)\.conf|postmaster\.(pid|opts)|(standby|recovery|zenith|neon)\.signal|(fallback_)?promote|logrotate|server\.(key|crt)|compute_local\.generation|core(\..*)?)(\.tmp|\.new)?$/;

/** What is at the top of a data directory; below, everything is PostgreSQL's. The marker goes last, so that a removal that
 *  was killed can be repeated. */
export const madePgdata: readonly Made[] = [
  { name: pgdataFiles, is: 'file' },
  // Leads to a directory in memory.
  { name: /^pg_dynshmem$/, is: 'link' },
  { name: /^(base|pg_\w+|log|compute_ctl\.lock)$/, is: 'tree' },
  { name: /^global$/, is: 'tree' },
  madeFile(markerFile),
];

/** Data directories that are made ahead, named as in `localDir`. The marker goes last. */
export const madeNext: Made = {
  name: /^pgdata\.(next(\.new)?|template)$/,
  is: [...madePgdata, madeFile(noteFile), madeFile(preparedMarker)],
  when: (dir) => isPrepared(dir) || entriesThatCount(dir).length === 0,
};

const madeLock: readonly Made[] = [
  { name: /^(\d+|new-\d+-[0-9a-f]+)$/, is: 'socket' },
  madeFile('holder.json'),
];

/** What every compute has. @param systemId of the database in the storage; null when it is not known */
const madeCompute = (systemId: string | null): readonly Made[] => [
  {
    name: /^pgdata$/,
    is: madePgdata,
    when: (dir) => isMarked(dir) || (systemId !== null && systemIdIn(dir) === systemId),
  },
  madeNext,
  // Renamed by compute_ctl or `clearNext`, which give them this name.
  { name: /^pgdata\.old-[0-9a-f]{16}$/, is: 'tree' },
  { name: /^pgdata\.lock$/, is: madeLock },
  {
    name: /^run$/,
    is: [
      { name: /^(\.s\.PGSQL\.\d+|front\.sock)$/, is: 'socket' },
      { name: /^\.s\.PGSQL\.\d+\.lock$/, is: 'file' },
    ],
  },
  { name: /^log$/, is: [{ name: /^(compute_ctl|storage|up|next)\.log(\.1)?$/, is: 'file' }] },
  ...['up.pid', 'compute_ctl.pid', 'storage.pid', 'next.pid'].map(madeFile),
];

/** What is made in the directory of a node. */
const madeNode = (systemId: string | null): readonly Made[] => [
  ...madeCompute(systemId),
  { name: /^up\.lock$/, is: madeLock },
  madeFile('node.json'),
];

/** What is made in a directory with a storage of its own, except the lock and what shows that it is ours. */
const madeOwn = (systemId: string | null): readonly Made[] => [
  { name: /^nodes$/, is: [{ name: nodeNamePattern, is: madeNode(systemId) }] },
  ...madeCompute(systemId),
  { name: /^storage$/, is: madeStorage },
  madeFile('primary.json'),
  { name: new RegExp(`^${applyLock.replace('.', String.raw`\.`)}$`), is: madeLock },
  // A compute.json stays: it is its user's.
  ...[acceptedName, schemaName].map(madeFile),
  { name: leftBeside, is: 'file' },
  madeFile('sleep.json'),
];

/** Removed last. */
export const proofs: readonly Made[] = ['local.json', resetNote, dirMarker.file].map(madeFile);

/** The lock in the directory of `--dir`. */
export const madeUpLock: Made = { name: /^up\.lock$/, is: madeLock };

/** Of the system id nothing is known: data directories there have their marker. */
const madeBranch: readonly Made[] = [...madeOwn(null), madeUpLock, ...proofs];

/** A branch that is being created: it gets its name when it is complete. */
export const madeUnfinishedBranch: Made = { name: /^\.new-[0-9a-f]{8}$/, is: madeBranch };

/** Everything that is made in the directory of `--dir`, except the lock and what shows that it is ours: `proofs`. */
export const madeDir = (systemId: string | null): readonly Made[] => [
  {
    name: /^branches$/,
    is: [
      { name: nodeNamePattern, is: madeBranch },
      madeUnfinishedBranch,
      { name: /^tree\.lock$/, is: madeLock },
    ],
  },
  ...madeOwn(systemId),
];
