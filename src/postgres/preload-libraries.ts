import type { ComputeSpec } from '../spec/schema.ts';
import { serverSetting } from './server-setting.ts';

const name = 'shared_preload_libraries';
const withoutSetting = 'neon';

/** The spec's value of `shared_preload_libraries`: from its settings, else from its `postgresql_conf`, else the one library
 *  that the storage needs. */
export const preloadLibraries = (spec: ComputeSpec): string => serverSetting(spec, name) ?? withoutSetting;

/** Appends the libraries that are not yet in the list.
 *  @param list comma-separated, blanks around and double quotes allowed, as Postgres reads it */
export function addLibraries(list: string, libraries: readonly string[]): string {
  const known = splitList(list).map(libraryName);
  const added = libraries.filter((library) => !known.includes(library));
  return [list.trim(), ...added].filter((part) => part !== '').join(',');
}

/** Splits at commas outside double quotes. */
export function splitList(list: string): string[] {
  return (list.match(/(?:"(?:[^"]|"")*"|[^,"])+/g) ?? [])
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `"$libdir/pgaudit.so"` is pgaudit. */
const libraryName = (item: string): string =>
  item.replaceAll('"', '').trim().replace(/^.*\//, '').replace(/\.so$/, '');
