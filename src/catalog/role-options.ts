import { type Sql, checked, integer, join, literal, sql } from '../core/sql.ts';
import type { GenericOption } from '../spec/schema.ts';
import { type Wanted, attributeOf, flags } from './role-attributes.ts';

const optionName = /^[A-Za-z_]+(?: +[A-Za-z_]+)*$/;
/** One number, word, quoted name or quoted string, with nothing after it. */
const bareValue = /^(?:[A-Za-z0-9_.:+-]+|"(?:[^"\0]|"")+"|'(?:[^'\\\0]|'')*')$/;

/** `CREATEDB NOLOGIN CONNECTION LIMIT 5`, always in the same order. */
export function attributeList(wanted: Wanted): Sql {
  const pieces: Sql[] = flags
    .filter((flag) => wanted[flag] !== undefined)
    .map((flag) => checked(`${wanted[flag] === true ? '' : 'no'}${flag}`, /^[a-z]+$/));
  if (wanted.connectionLimit !== undefined)
    pieces.push(sql`connection limit ${integer(wanted.connectionLimit)}`);
  if (wanted.validUntil !== undefined && wanted.validUntil !== null) {
    const at = wanted.validUntil === 'infinity' ? 'infinity' : new Date(wanted.validUntil).toISOString();
    pieces.push(sql`valid until ${literal(at)}`);
  }
  return join(pieces, sql` `);
}

/** An option as in the spec: only values of type `string` are quoted. */
export function option({ name, value, vartype }: GenericOption): Sql {
  const word = checked(name.trim(), optionName);
  if (value === null || value === '') return word;
  return sql`${word} ${vartype === 'string' ? literal(value) : checked(value, bareValue)}`;
}

/** Options that `pg_authid` does not show. They are used at creation and never compared later. */
export const otherOptions = (options: readonly GenericOption[] | null): readonly Sql[] =>
  (options ?? []).filter((one) => attributeOf(one) === null).map(option);

/** Why an option cannot be written into a statement, null when it can. */
export function optionFault({ name, value, vartype }: GenericOption): string | null {
  if (!optionName.test(name.trim())) return "an option's name must be words of letters and underscores";
  if (value === null || vartype === 'string' || value === '' || bareValue.test(value)) return null;
  return 'a value that is not of type "string" must be one word, number, quoted name or quoted string';
}
