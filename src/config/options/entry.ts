import type { Kind, ValueOf } from '../values.ts';

export interface OptionEntry {
  readonly flag: `--${string}`;
  readonly short?: `-${string}`;
  readonly kind: Kind;
  /** The value's name in the help. */
  readonly value?: string;
  /** Environment variable that is read when the option is not given; an empty one counts as given. */
  readonly env?: string;
  /** Null: no default. */
  readonly fallback: string | number | boolean | null;
  /** The default's text in the help: the fallback in other words, or what the program does without one. */
  readonly fallbackDoc?: string;
  /** Without it, the command is refused. */
  readonly required?: true;
  readonly group: Group;
  /** Names of other options in the same table. */
  readonly conflicts?: readonly string[];
  readonly doc: string;
}

export const groups = {
  options: 'Options:',
  source: 'Where the spec comes from:',
  postgres: 'Postgres:',
  http: 'HTTP:',
  limits: 'Limits:',
  machine: 'The machine:',
  logs: 'Audit log and log export:',
  other: 'Other:',
  older: 'Older forms:',
} as const;

export type Group = keyof typeof groups;

/** The key is the name under which the program reads the value. */
export type OptionTable = Readonly<Record<string, OptionEntry>>;

type Absent<E extends OptionEntry> = E['fallback'] extends null
  ? E extends { readonly required: true }
    ? never
    : null
  : never;

/** The value of every option of a table: given, from the environment, or the default; null when there is none. */
export type Values<T extends OptionTable> = {
  readonly [N in keyof T]: ValueOf<T[N]['kind']> | Absent<T[N]>;
};

/** A program without commands, or one of its commands. */
export interface CommandEntry {
  readonly doc: string;
  readonly options: OptionTable;
  /** Options that the help lists; the others are accepted too. Left out: all of them. */
  readonly listed?: readonly string[];
  /** Arguments that may follow the options, with blanks between them: `[key] [value]`. */
  readonly args?: string;
  /** Other names for it. */
  readonly aliases?: readonly string[];
  /** The words that the argument can be. */
  readonly argChoices?: readonly string[];
  /** Options that it does not know are arguments, too. */
  readonly passesOptions?: true;
  /** Started by another program, so the help does not list it. */
  readonly hidden?: true;
}

export interface ProgramEntry {
  readonly name: string;
  readonly doc: string;
  /** Options without a command; null: a command is required. */
  readonly main: CommandEntry | null;
  readonly commands: Readonly<Record<string, CommandEntry>>;
}
