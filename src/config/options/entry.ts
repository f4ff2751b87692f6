import type { Kind, ValueOf } from '../values.ts';

export interface OptionEntry {
  readonly flag: `--${string}`;
  readonly short?: `-${string}`;
  readonly kind: Kind;
  /** How help calls the value. */
  readonly value?: string;
  /** Variable that is read when the option is not given; an empty one counts as given. */
  readonly env?: string;
  /** Null: none. */
  readonly fallback: string | number | boolean | null;
  /** What is shown as the default: the fallback in other words, or what the program takes where there is none. */
  readonly fallbackDoc?: string;
  /** The command is refused without it. */
  readonly required?: true;
  readonly group: Group;
  /** Names in the same table. */
  readonly conflicts?: readonly string[];
  readonly doc: string;
  /** Accepted and checked, but nothing reads it yet: the issue that will, or `later`. */
  readonly implementedBy?: number | 'later';
}

export const groups = {
  options: 'Options:',
  source: 'Where the spec comes from:',
  postgres: 'Postgres:',
  http: 'HTTP:',
  limits: 'Limits:',
  machine: 'The machine:',
  other: 'Other:',
  older: 'Older forms:',
} as const;

export type Group = keyof typeof groups;

/** By the name under which the program reads the value. */
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
  /** Those that help lists; the others are accepted as well. Left out: all of them. */
  readonly listed?: readonly string[];
  /** Words that may follow the options. */
  readonly args?: string;
  /** Started by another program: not among the commands that help lists. */
  readonly hidden?: true;
}

export interface ProgramEntry {
  readonly name: string;
  readonly doc: string;
  /** What it takes without a command; null: there is always one. */
  readonly main: CommandEntry | null;
  readonly commands: Readonly<Record<string, CommandEntry>>;
}
