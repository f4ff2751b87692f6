import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ConfCheck, readConfSetting } from './conf-check.ts';
import { splitList } from './preload-libraries.ts';

/** Why a start would fail, although each setting can be used by itself. */
export interface StartProblem {
  readonly text: string;
  readonly hint: string;
}

/** Every installation has this library. */
const known = 'plpgsql.so';
/** Since 16. */
const reservedToRole = 16;

/** @param check its files have no errors of their own
 *  @returns null: it cannot be known here
 *  @throws as `readConfSetting` */
export async function missingLibraries(
  check: ConfCheck,
  signal: AbortSignal,
): Promise<StartProblem[] | null> {
  const list = splitList(await readConfSetting(check, 'shared_preload_libraries', signal));
  if (list.length === 0) return [];
  const path = await readConfSetting(check, 'dynamic_library_path', signal);
  const bindir = dirname(check.bin.path);
  const libdir = [join(bindir, '../lib/postgresql'), join(bindir, '../lib')].find((dir) =>
    existsSync(join(dir, known)),
  );
  if (libdir === undefined || path !== '$libdir') return null;
  const missing = list
    .map((name) => name.replaceAll('"', ''))
    .filter((name) => {
      const file = name.startsWith('/') ? name : join(libdir, name.replace(/^\$libdir\//, ''));
      return !existsSync(file) && !existsSync(`${file}.so`);
    });
  return missing.map((name) => ({
    text: `shared_preload_libraries: there is no library ${JSON.stringify(name)} in ${libdir}`,
    hint: 'install it for this PostgreSQL, or leave it out: with it, Postgres does not start',
  }));
}

/** The rules between settings that PostgreSQL checks after it has read them.
 *  @param check its files have no errors of their own
 *  @throws as `readConfSetting`
 *  @see `PostmasterMain` in src/backend/postmaster/postmaster.c of PostgreSQL */
export async function contradictions(check: ConfCheck, signal: AbortSignal): Promise<StartProblem[]> {
  const read = (name: string): Promise<string> => readConfSetting(check, name, signal);
  const found: StartProblem[] = [];
  const most = Number(await read('max_connections'));
  const reserved =
    Number(await read('superuser_reserved_connections')) +
    (check.bin.major >= reservedToRole ? Number(await read('reserved_connections')) : 0);
  if (reserved >= most) {
    found.push({
      text: `max_connections: ${most} connections are not more than the ${reserved} reserved ones`,
      hint: 'raise max_connections, or lower superuser_reserved_connections and reserved_connections',
    });
  }
  if ((await read('wal_level')) !== 'minimal') return found;
  for (const [name, off] of [
    ['archive_mode', 'off'],
    ['max_wal_senders', '0'],
  ] as const) {
    const value = await read(name);
    if (value === off) continue;
    found.push({
      text: `wal_level: it is minimal, which is not enough for ${name} = ${value}`,
      hint: `raise wal_level to replica, or set ${name} to ${off}`,
    });
  }
  return found;
}
