/** One object that is not as compute.json asks, and what is to be done about it. */
export interface Change {
  readonly kind: 'role' | 'database' | 'extension' | 'setting';
  readonly name: string;
  /** Of an extension. */
  readonly database: string | null;
  /** `restart`: done but for a restart of Postgres. */
  readonly action: 'create' | 'change' | 'reset' | 'drop' | 'restart';
  /** What of it, as words; null for all. */
  readonly what: string | null;
  readonly from: string | null;
  readonly to: string | null;
  /** It takes effect at the next start of Postgres only. */
  readonly restart: boolean;
}

/** A role or a database that compute.json no longer names, and that stays until it is dropped. */
export interface Droppable {
  readonly kind: 'role' | 'database';
  readonly name: string;
}

/** An extension stays, too; it is dropped by hand, since its types and functions may be in use. */
export type Left =
  | Droppable
  | { readonly kind: 'extension'; readonly name: string; readonly database: string };

export const isDroppable = (one: Left): one is Droppable => one.kind !== 'extension';

export const keyOf = ({ kind, name, database }: Pick<Change, 'kind' | 'name' | 'database'>): string =>
  JSON.stringify([kind, name, database]);

const signs = { create: '+', change: '~', reset: '-', drop: '-', restart: '!' } as const;

export function changeText(change: Change): string {
  const { action, what, from, to, restart } = change;
  const values = [from, to]
    .flatMap((value) => (value === null ? [] : [value === '' ? '""' : visible(value)]))
    .join(' -> ');
  const more = [what, values === '' ? null : values].filter((part) => part !== null).join(' ');
  const late = restart ? ' (takes effect at the next start of Postgres)' : '';
  return `${signs[action]} ${objectText(change)}${more === '' ? '' : `: ${more}`}${late}`;
}

export const objectText = ({ kind, name, database }: Pick<Change, 'kind' | 'name' | 'database'>): string =>
  `${kind} ${kind === 'setting' ? name : quoted(name)}${database === null ? '' : ` in database ${quoted(database)}`}`;

const quoted = (name: string): string => visible(JSON.stringify(name));

/** With escapes for characters that a terminal would obey, or not show: whoever may create a role or a database chooses its name. */
export const visible = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`);
