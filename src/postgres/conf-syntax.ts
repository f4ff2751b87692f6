import { ComputeError } from '../core/errors.ts';

// The syntax of `postgresql.conf`: writing it, and reading it as PostgreSQL does.
// See src/backend/utils/misc/guc-file.l of PostgreSQL.

/** Characters that could end a line early: in a quoted value they break the whole file, elsewhere they inject lines. */
const lineBreak = /[\n\r\0]/;

/** A value of `postgresql.conf` in single quotes: `'` and `\` doubled.
 *  @param path the value's position in the spec, for the error
 *  @throws ComputeError `spec_invalid` when it contains a line break
 *  @see https://www.postgresql.org/docs/current/config-setting.html */
export function quoteConf(value: string, path: string): string {
  return `'${oneLine(value, path).replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Returns the text unchanged. @throws ComputeError `spec_invalid` when it contains a line break */
export function oneLine(value: string, path: string): string {
  if (lineBreak.test(value)) {
    throw new ComputeError('spec_invalid', `${path}: a line break cannot be written to postgresql.conf`, {
      hint: 'remove it from the value',
    });
  }
  return value;
}

const setting = /^[a-z_\u0080-\uffff][\w\u0080-\uffff]*(\.[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?$/i;

/** Returns a setting's name unchanged. @throws ComputeError `spec_invalid` when Postgres cannot read it, since it would
 *  refuse the whole file. This includes names with a `$`, although SET accepts them. */
export function settingName(name: string, path: string): string {
  if (!setting.test(name)) {
    throw new ComputeError('spec_invalid', `${path}: ${JSON.stringify(name)} is not the name of a setting`, {
      hint: 'a setting name has letters, digits and _, with at most one dot',
    });
  }
  return name;
}

/** A setting's value in a text in the format of `postgresql.conf`, as PostgreSQL reads it: the last line counts, the name
 *  is case-insensitive, the equals sign is optional. Included files are not read. Lines with a syntax error are skipped
 *  (PostgreSQL would refuse the whole file).
 *  @returns null when the text does not set it */
export function confValue(text: string, name: string): string | null {
  let found: string | null = null;
  for (const raw of latin1(text).split('\n')) {
    const { key, quoted, plain } = assignment.exec(raw)?.groups ?? {};
    if (key === undefined || !isSameSetting(utf8(key), name)) continue;
    if (quoted !== undefined) found = utf8(unescape(quoted));
    else if (plain !== undefined && !qualifiedName.test(plain)) found = utf8(plain);
  }
  return found;
}

/** Only ASCII letters are case-insensitive. */
export const isSameSetting = (one: string, other: string): boolean => lower(one) === lower(other);
const lower = (name: string): string => name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());

// PostgreSQL's scanner works on bytes; bytes from 0x80 are letters. These patterns do the same: one character is one byte.
const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const utf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

const word = String.raw`[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*`;
const qualifiedName = new RegExp(String.raw`^${word}\.${word}$`);
/** `0x1F`, `-10`, `64MB`; `1.5`, `.5`, `2.5e3`; `on`, `scram-sha-256`, `/tmp` only in quotes. */
const integer = '[-+]?(?:0x[0-9A-Fa-f]+|[0-9]+)[A-Za-z]*';
const real = String.raw`[-+]?[0-9]*\.[0-9]*(?:[Ee][-+]?[0-9]+)?`;
const unquoted = String.raw`[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff\-.:/]*`;
const quoted = String.raw`'(?<quoted>(?:[^'\\]|\\.|'')*)'`;
const assignment = new RegExp(
  String.raw`^[ \t\r]*(?<key>${word}(?:\.${word})?)(?:[ \t\r]*=[ \t\r]*|[ \t\r]+|(?='))` +
    String.raw`(?:${quoted}|(?<plain>${integer}|${real}|${unquoted}))[ \t\r]*(?:#.*)?$`,
  's',
);

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** `''` is a quote; after a backslash come an escape of C, up to three octal digits, or the character itself. */
const unescape = (text: string): string =>
  text.replaceAll(/''|\\([0-7]{1,3}|.)/gs, (_pair, escaped?: string) => {
    if (escaped === undefined) return "'";
    if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8) & 0xff);
    return escapes[escaped] ?? escaped;
  });
