import { inspect } from 'node:util';
import { Secret } from './secret.ts';

/** A piece of SQL, made only of constant text, quoted names and quoted values. Wherever it is printed, secrets are
 *  `***`; only `reveal()` returns the text for the server. */
export class Sql {
  readonly #text: string;
  readonly #masked: string;

  /** Not for callers: use the template tag `sql`. */
  constructor(text: string, masked: string) {
    this.#text = text;
    this.#masked = masked;
  }

  /** The text for the server, secrets included. */
  reveal(): string {
    return this.#text;
  }

  /** True when the text holds a secret. */
  get secret(): boolean {
    return this.#text !== this.#masked;
  }

  toString(): string {
    return this.#masked;
  }

  toJSON(): string {
    return this.#masked;
  }

  [inspect.custom](): string {
    return this.#masked;
  }
}

/** Template tag for SQL: constant text, with only other pieces of SQL in between. */
export function sql(text: TemplateStringsArray, ...pieces: readonly Sql[]): Sql {
  const assemble = (show: (piece: Sql) => string): string =>
    text.reduce((all, next, at) => {
      const piece = pieces[at - 1];
      return all + (piece === undefined ? '' : show(piece)) + next;
    });
  return new Sql(
    assemble((piece) => piece.reveal()),
    assemble((piece) => piece.toString()),
  );
}

/** Longest name in bytes; the server truncates longer ones and sends only a notice. */
export const maxNameBytes = 63;

/** Why `name` cannot name an object of the server exactly as it is, null when it can. */
export function nameFault(name: string): string | null {
  if (name === '') return 'is empty';
  const fault = textFault(name);
  if (fault !== null) return fault;
  const bytes = Buffer.byteLength(name);
  return bytes > maxNameBytes ? `is ${bytes} bytes long, more than ${maxNameBytes}` : null;
}

/** Why no server with encoding UTF8 can store `text`, null when it can. */
export function textFault(text: string): string | null {
  if (text.includes('\0')) return 'contains a NUL character';
  return /\p{Surrogate}/u.test(text) ? 'contains an unpaired surrogate' : null;
}

/** A quoted name. Not for comparisons: the catalogs store names unquoted.
 *  @throws RangeError for a name that the server would refuse or truncate */
export function ident(name: string): Sql {
  const fault = nameFault(name);
  if (fault !== null)
    throw new RangeError(`the name ${JSON.stringify(name)} cannot be used in SQL: it ${fault}`);
  return plain(`"${name.replaceAll('"', '""')}"`);
}

/** A quoted value; that of a Secret is masked wherever the statement is shown.
 *  @throws RangeError for a text that cannot be sent */
export function literal(value: string | Secret): Sql {
  if (value instanceof Secret) return new Sql(quote(value.reveal()), `'${value.toString()}'`);
  return plain(quote(value));
}

function quote(value: string): string {
  const fault = textFault(value);
  if (fault !== null) throw new RangeError(`a value cannot be used in SQL: it ${fault}`);
  const doubled = value.replaceAll("'", "''").replaceAll('\\', '\\\\');
  return value.includes('\\') ? `E'${doubled}'` : `'${doubled}'`;
}

export const integer = (value: number | bigint): Sql => {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new RangeError(`${value} is not an integer`);
  return plain(String(value));
};

/** The pieces one after the other, with `separator` between them. */
export function join(pieces: readonly Sql[], separator: Sql = sql`, `): Sql {
  return pieces.length === 0 ? sql`` : pieces.reduce((all, next) => sql`${all}${separator}${next}`);
}

/** The body of a `DO` block, dollar-quoted with a tag that does not occur in it. */
export function body(code: Sql): Sql {
  let tag = 'x';
  while (code.reveal().includes(tag)) tag += 'x';
  return new Sql(`$${tag}$${code.reveal()}$${tag}$`, `$${tag}$${code.toString()}$${tag}$`);
}

/** SQL text that is not quoted: an option's name or bare value. The pattern must allow nothing with another meaning. */
export function checked(text: string, pattern: RegExp): Sql {
  if (!pattern.test(text)) throw new RangeError(`${JSON.stringify(text)} does not match ${String(pattern)}`);
  return plain(text);
}

/** A whole statement from a file of this program. */
export const fromFile = (text: string): Sql => plain(text);

const plain = (text: string): Sql => new Sql(text, text);
