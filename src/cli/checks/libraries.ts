import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ConfCheck, readConfSetting } from '../../postgres/conf-check.ts';
import { splitList } from '../../postgres/preload-libraries.ts';
import { type Findings, errors, unchecked } from './finding.ts';

/** Every installation has this library. */
const known = 'plpgsql.so';

/** A start fails when one of the libraries to preload is not there.
 *  @param check its data directory holds the `postgresql.conf`, which has no errors */
export async function checkLibraries(check: ConfCheck, signal: AbortSignal): Promise<Findings> {
  const list = splitList(await readConfSetting(check, 'shared_preload_libraries', signal));
  const path = await readConfSetting(check, 'dynamic_library_path', signal);
  if (list.length === 0) return errors();
  const bindir = dirname(check.bin.path);
  const libdir = [join(bindir, '../lib/postgresql'), join(bindir, '../lib')].find((dir) =>
    existsSync(join(dir, known)),
  );
  if (libdir === undefined || path !== '$libdir')
    return unchecked('whether the libraries of shared_preload_libraries are installed');
  const missing = list
    .map((name) => name.replaceAll('"', ''))
    .filter((name) => {
      const file = name.startsWith('/') ? name : join(libdir, name.replace(/^\$libdir\//, ''));
      return !existsSync(file) && !existsSync(`${file}.so`);
    });
  return errors(
    ...missing.map((name) => ({
      text: `shared_preload_libraries: there is no library ${JSON.stringify(name)} in ${libdir}`,
      hint: 'install it for this PostgreSQL, or leave it out: with it, Postgres does not start',
    })),
  );
}
