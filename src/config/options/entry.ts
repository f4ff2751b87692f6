import type { Kind } from '../values.ts';

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
  readonly group: Group;
  readonly conflicts?: readonly string[];
  readonly doc: string;
  /** Accepted and checked, but nothing reads it yet: the issue that will, or `later`. */
  readonly implementedBy?: number | 'later';
}

export const groups = {
  source: 'Where the spec comes from:',
  postgres: 'Postgres:',
  http: 'HTTP:',
  limits: 'Limits:',
  machine: 'The machine:',
  other: 'Other:',
  older: 'Older forms:',
} as const;

export type Group = keyof typeof groups;
