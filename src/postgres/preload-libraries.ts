import { setting } from '../spec/setting.ts';
import type { ComputeSpec } from '../spec/schema.ts';

const name = 'shared_preload_libraries';
const withoutSetting = 'neon';

/** The value of `shared_preload_libraries` that the spec asks for: of its settings, else of the head of the conf file,
 *  else the one library that the storage needs. */
export const preloadLibraries = (spec: ComputeSpec): string =>
  setting(spec, name) ?? confValue(spec.cluster.postgresql_conf?.reveal() ?? '', name) ?? withoutSetting;

/** Appends the libraries that the list does not hold yet.
 *  @param list comma-separated, blanks around and double quotes allowed, as Postgres reads it */
export function addLibraries(list: string, libraries: readonly string[]): string {
  const known = splitList(list).map(libraryName);
  const added = libraries.filter((library) => !known.includes(library));
  return [list.trim(), ...added].filter((part) => part !== '').join(',');
}

/** Splits at commas outside double quotes. */
function splitList(list: string): string[] {
  return (list.match(/(?:"(?:[^"]|"")*"|[^,"])+/g) ?? [])
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `"$libdir/pgaudit.so"` is pgaudit. */
const libraryName = (item: string): string =>
  item.replaceAll('"', '').trim().replace(/^.*\//, '').replace(/\.so$/, '');

const assignment = /^[ \t]*([a-z_][\w$.]*)[ \t]*(?:=[ \t]*|[ \t]+)(?:'((?:[^'\\\n]|\\.|'')*)'|([^\s#']+))/gim;

/** The value a setting has in a text of the form of `postgresql.conf`: the last one counts, case does not matter.
 *  Included files are not read. */
export function confValue(text: string, wanted: string): string | null {
  let found: string | null = null;
  for (const [, key = '', quoted, bare] of text.matchAll(assignment)) {
    if (key.toLowerCase() === wanted) found = quoted === undefined ? (bare ?? '') : unquote(quoted);
  }
  return found;
}

const unquote = (text: string): string =>
  text.replaceAll(/''|\\(.)/g, (_pair, escaped?: string) => escaped ?? "'");
