import { ComputeError } from '../core/errors.ts';

/** Text that could end a line early: in a quoted value it breaks the whole file, elsewhere it smuggles in further lines. */
const lineBreak = /[\n\r\0]/;

/** A value of `postgresql.conf` in single quotes: `'` and `\` doubled.
 *  @param path where the value stands in the spec, for the error
 *  @throws ComputeError `spec_invalid` when it holds a line break
 *  @see https://www.postgresql.org/docs/current/config-setting.html */
export function quoteConf(value: string, path: string): string {
  return `'${oneLine(value, path).replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** The text itself, checked not to hold a line break. */
export function oneLine(value: string, path: string): string {
  if (lineBreak.test(value)) {
    throw new ComputeError('spec_invalid', `${path}: a line break cannot be written to postgresql.conf`, {
      hint: 'remove it from the value',
    });
  }
  return value;
}

const setting = /^[a-z_\u0080-\uffff][\w$\u0080-\uffff]*(\.[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)?$/i;

/** A name that Postgres can read as a setting. One that it cannot makes it refuse the whole file. */
export function settingName(name: string, path: string): string {
  if (!setting.test(name)) {
    throw new ComputeError('spec_invalid', `${path}: ${JSON.stringify(name)} is not the name of a setting`, {
      hint: 'letters, digits, _ and $, with at most one dot',
    });
  }
  return name;
}
