import { accessSync, closeSync, constants, readSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { openRegularByLink } from '../process/regular-file.ts';
import { splitList } from './preload-libraries.ts';

/** Why a start would fail, although each setting can be used by itself. */
export interface StartProblem {
  /** The setting, what is wrong with it. */
  readonly text: string;
  readonly hint: string;
}

/** Values as `postgres -C` prints them: sizes in the unit of the setting. Those that this major does not have are missing. */
export type ConfValues = Readonly<Record<string, string>>;

/** What the values are judged against. */
export interface StartFacts {
  /** Where the libraries are; null: not known. */
  readonly libdir: string | null;
  readonly dataDir: string;
  /** The data directory holds only a `postgresql.conf`, so nothing can be said of other files in it. */
  readonly isEmpty: boolean;
  /** Bytes; null: not known. */
  readonly walSegmentBytes: number | null;
  /** Whether a library is put there before the server starts. */
  readonly toCome: (library: string) => boolean;
}

export interface Judgement {
  readonly problems: readonly StartProblem[];
  /** What could not be known. */
  readonly unchecked: readonly string[];
}

/** One thing that PostgreSQL looks at when it starts, after it has read the values. */
export interface StartRule {
  /** The settings that it depends on. */
  readonly names: readonly string[];
  judge(values: ConfValues, facts: StartFacts): Judgement | Promise<Judgement>;
}

const fine: Judgement = { problems: [], unchecked: [] };
export const problem = (text: string, hint: string): Judgement => ({ ...fine, problems: [{ text, hint }] });
const unknown = (what: string): Judgement => ({ ...fine, unchecked: [what] });
export const joined = (all: readonly Judgement[]): Judgement => ({
  problems: all.flatMap(({ problems }) => problems),
  unchecked: all.flatMap((one) => one.unchecked),
});

/** The first major that has a setting, where that is not the oldest one that is supported. */
const since: Readonly<Record<string, number>> = { reserved_connections: 16, summarize_wal: 17 };

export const isKnownIn = (major: number, name: string): boolean => (since[name] ?? 0) <= major;

/** @see `PostmasterMain` in src/backend/postmaster/postmaster.c of PostgreSQL */
export const startRules: readonly StartRule[] = [
  {
    names: ['data_directory'],
    judge({ data_directory: path = '' }, { dataDir }) {
      if (path === dataDir) return fine;
      return problem(
        `data_directory: Postgres would run in ${path} and not in the data directory of this compute`,
        'remove it: the data directory is that of --pgdata',
      );
    },
  },
  {
    names: ['max_connections', 'superuser_reserved_connections', 'reserved_connections'],
    judge(values) {
      const most = Number(values['max_connections']);
      const reserved =
        Number(values['superuser_reserved_connections']) + Number(values['reserved_connections'] ?? 0);
      if (reserved < most) return fine;
      return problem(
        `max_connections: ${most} connections are not more than the ${reserved} reserved ones`,
        'raise max_connections, or lower superuser_reserved_connections and reserved_connections',
      );
    },
  },
  ...(
    [
      ['archive_mode', 'off'],
      ['max_wal_senders', '0'],
      ['summarize_wal', 'off'],
    ] as const
  ).map(([name, off]): StartRule => ({
    names: ['wal_level', name],
    judge(values) {
      if (values['wal_level'] !== 'minimal' || (values[name] ?? off) === off) return fine;
      return problem(
        `wal_level: it is minimal, which is not enough for ${name} = ${values[name]}`,
        `raise wal_level to replica, or set ${name} to ${off}`,
      );
    },
  })),
  {
    names: ['shared_preload_libraries', 'dynamic_library_path'],
    judge: judgeLibraries,
  },
  ...['min_wal_size', 'max_wal_size'].map((name): StartRule => ({
    names: [name],
    judge(values, { walSegmentBytes }) {
      const least = 2 * (walSegmentBytes ?? usualSegmentBytes);
      const megabytes = Number(values[name]);
      if (megabytes * 2 ** 20 >= least) return fine;
      if (walSegmentBytes === null)
        return unknown(
          `whether ${name} = ${megabytes} MB is enough: it must be twice the size of a WAL segment, which the base backup decides`,
        );
      return problem(
        `${name}: ${megabytes} MB are less than two WAL segments (${least / 2 ** 20} MB)`,
        `raise it to ${least / 2 ** 20} MB or more`,
      );
    },
  })),
  {
    names: ['listen_addresses'],
    judge: (values) => judgeList('listen_addresses', values, /\s/),
  },
  {
    names: ['unix_socket_directories'],
    judge(values) {
      const name = 'unix_socket_directories';
      const list = judgeList(name, values);
      if (list.problems.length > 0) return list;
      return joined(
        // A name with @ is not in the file system.
        itemsOf(values[name]).flatMap((path) =>
          path.startsWith('@') ? [] : [judgeDirectory(`${name}: `, path)],
        ),
      );
    },
  },
  {
    names: ['hba_file'],
    judge: (values, facts) => judgeFile('hba_file', values['hba_file'], facts),
  },
  ...['ssl_cert_file', 'ssl_key_file'].map((name): StartRule => ({
    names: ['ssl', name],
    judge: (values, facts) => (values['ssl'] === 'on' ? judgeFile(name, values[name], facts) : fine),
  })),
  {
    names: ['logging_collector', 'log_directory'],
    judge({ logging_collector: collects, log_directory: path = '' }) {
      // One in the data directory is created.
      if (collects !== 'on' || !isAbsolute(path)) return fine;
      return judgeDirectory('log_directory: ', isDirectory(path) ? path : dirname(path));
    },
  },
];

/** Until the base backup is there. */
const usualSegmentBytes = 16 * 2 ** 20;

const itemsOf = (list = ''): string[] => splitList(list).map((item) => item.replaceAll('"', ''));

/** PostgreSQL refuses a list with an empty item. */
function judgeList(name: string, values: ConfValues, refused: RegExp = /(?!)/): Judgement {
  const list = values[name] ?? '';
  const isEmpty = list.trim() === '';
  const items = list.replaceAll(/"(?:[^"]|"")*"/g, 'x').split(',');
  if (isEmpty || items.every((item) => item.trim() !== '' && !refused.test(item.trim()))) return fine;
  return problem(
    `${name}: ${JSON.stringify(list)} is not a list`,
    'separate the items by commas; a comma at the end, or two of them, is an error',
  );
}

function judgeFile(name: string, path: string | undefined, facts: StartFacts): Judgement {
  const absolute = isAbsolute(path ?? '') ? (path ?? '') : join(facts.dataDir, path ?? '');
  if (facts.isEmpty && absolute.startsWith(`${facts.dataDir}/`)) return fine;
  const code = refusalOf(() => closeSync(openRegularByLink(absolute)));
  if (code === null) return fine;
  return problem(
    `${name}: ${absolute} cannot be read (${code})`,
    'put the file there, and let the user of Postgres read it; or change the setting',
  );
}

function judgeDirectory(what: string, path: string): Judgement {
  const code = isDirectory(path)
    ? refusalOf(() => accessSync(path, constants.W_OK | constants.X_OK))
    : 'it is not a directory';
  if (code === null) return fine;
  return problem(
    `${what}Postgres cannot create files in ${path} (${code})`,
    'create the directory, and let the user of Postgres write to it; or change the setting',
  );
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

function refusalOf(attempt: () => void): string | null {
  try {
    attempt();
    return null;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? message;
  }
}

function judgeLibraries(values: ConfValues, { libdir, dataDir, toCome }: StartFacts): Judgement {
  const names = itemsOf(values['shared_preload_libraries']).filter((name) => !toCome(name));
  if (names.length === 0) return fine;
  if (libdir === null || values['dynamic_library_path'] !== '$libdir')
    return unknown('whether the libraries of shared_preload_libraries are installed');
  const hint = 'install it for this PostgreSQL, or leave it out: with it, Postgres does not start';
  return joined(
    names.map((name) => {
      const path = name.startsWith('$libdir/')
        ? join(libdir, name.slice('$libdir/'.length))
        : // The server's working directory is its data directory.
          resolve(name.includes('/') ? dataDir : libdir, name);
      const found = [path, `${path}.so`].find(
        (file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true,
      );
      const shown = 'shared_preload_libraries: ';
      if (found === undefined)
        return problem(`${shown}there is no library ${JSON.stringify(name)} (${path})`, hint);
      return process.platform !== 'linux' || isElf(found)
        ? fine
        : problem(`${shown}${found} is not a library`, hint);
    }),
  );
}

/** Every library of Linux begins with these bytes. */
const elf = Buffer.from('\x7FELF', 'latin1');

function isElf(path: string): boolean {
  let fd: number;
  try {
    fd = openRegularByLink(path);
  } catch {
    return false;
  }
  try {
    const head = Buffer.alloc(elf.length);
    return readSync(fd, head) === elf.length && head.equals(elf);
  } finally {
    closeSync(fd);
  }
}
