import { causeChain, causesOf } from '../../core/errors.ts';
import { systemCode } from '../../core/system-hints.ts';

/** What the parts of the storage do, and what it means when one cannot. */
export const parts = {
  receiver: {
    fails: 'the storage does not receive WAL, so commits wait',
    works: 'the storage receives WAL again, and commits return',
  },
  wal: {
    fails: 'WAL in the storage is missing, so a restart of the compute would fail',
    works: 'the storage has all WAL again that a restart requires',
  },
  base: {
    fails: 'the storage cannot take a new base backup, so the stored WAL grows',
    works: 'a new base backup was taken',
  },
  takeover: {
    fails: 'not taking over the promoted replica, so its commits wait',
    works: 'the promoted replica is the primary',
  },
  files: {
    fails: 'the files of the storage cannot be read',
    works: 'the files of the storage can be read again',
  },
  /** Its kinds say what it means. */
  disk: { fails: null, works: 'the disk of the storage has room again' },
} as const;
export type Part = keyof typeof parts;

interface KindEntry {
  /** Fixed words, which anybody may read. */
  readonly words: string;
  /** What to do. */
  readonly act: string;
}

const again = 'It then continues by itself.';

/** What can be wrong, and what an operator does about it. */
export const troubleKinds = {
  disk_full: {
    words: 'the disk is full',
    act: `Free space on this file system, or make it larger. ${again}`,
  },
  quota: {
    words: 'the disk quota is used up',
    act: `Raise the disk quota of the user that runs compute-local, or free space. ${again}`,
  },
  read_only: {
    words: 'the file system is read-only',
    act: `Look in the kernel log (dmesg) for an error of the disk, then mount it for writing: mount -o remount,rw. ${again}`,
  },
  permission: {
    words: 'the permission to write is missing',
    act: `Give the folder and all files in it back to the user that runs compute-local: chown -R. ${again}`,
  },
  io_error: {
    words: 'the disk reports an error',
    act: 'Look at the kernel log (dmesg). While the compute still answers, copy the data with pg_dump to another disk.',
  },
  file_limit: {
    words: 'a limit for files is reached',
    act: `Raise the limits of the user that runs compute-local: ulimit -f and ulimit -n. ${again}`,
  },
  missing: {
    words: 'a file or folder of the storage is missing',
    act: 'Do not stop the compute, which still has all data. Put back what was removed, or copy the data with pg_dump.',
  },
  wal_removed: {
    words: 'the compute no longer has WAL that the storage still requires',
    act: 'Restart it: compute-local stop, then compute-local up. Every acknowledged commit is kept; commits that still wait may be lost.',
  },
  wal_gap: {
    words: 'stored WAL is missing',
    act: 'Do not stop the compute, which still has all data: a new base backup is taken from it, and then the missing WAL is not required any more.',
  },
  refused: {
    words: 'the compute may not write to the storage',
    act: 'Restart it: compute-local stop, then compute-local up.',
  },
  disk_low: {
    words: 'the disk of the storage is nearly full',
    act: 'Free space on this file system, or make it larger, before writes are stopped.',
  },
  writes_stopped: {
    words: 'writes are stopped, because the disk of the storage is nearly full',
    act: 'Free space on this file system, or make it larger. Writes are then allowed again by themselves. To delete rows meanwhile: begin read write; delete ...; commit.',
  },
  other: {
    words: 'an error that has no name of its own',
    act: 'Look for more in the logs of the storage (storage.log) and of the compute (compute_ctl.log).',
  },
} as const satisfies Record<string, KindEntry>;
export type TroubleKind = keyof typeof troubleKinds;

const byCode: Readonly<Record<string, TroubleKind>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'quota',
  EROFS: 'read_only',
  EACCES: 'permission',
  EPERM: 'permission',
  EIO: 'io_error',
  EFBIG: 'file_limit',
  EMFILE: 'file_limit',
  ENFILE: 'file_limit',
  ENOENT: 'missing',
};

/** PostgreSQL's programs give the system's error as text alone: the words of glibc and musl, in English, since they are
 *  started so. The last two are the server's, without their SQLSTATE. */
const byText: readonly (readonly [RegExp, TroubleKind])[] = [
  [/No space left on device/, 'disk_full'],
  [/Quota exceeded|quota exceeded/, 'quota'],
  [/Read-only file system/, 'read_only'],
  [/Permission denied|Operation not permitted/, 'permission'],
  [/Input\/output error|I\/O error/, 'io_error'],
  [/File too large|Too many open files|No file descriptors available/, 'file_limit'],
  [/requested WAL segment \S+ has already been removed/, 'wal_removed'],
  [/can no longer (?:get changes|access|acquire).*replication slot/, 'wal_removed'],
  [/No such file or directory/, 'missing'],
];

/** What an error, or the words of a program, mean for the storage. */
export function kindOf(error: unknown): TroubleKind {
  for (const cause of causesOf(error)) {
    const kind = byCode[systemCode(cause) ?? ''];
    if (kind !== undefined) return kind;
  }
  const text = typeof error === 'string' ? error : causeChain(error).join('\n');
  return byText.find(([pattern]) => pattern.test(text))?.[1] ?? 'other';
}
