import type { OptionEntry } from './options/entry.ts';
import { mainOptions } from './options/main.ts';
import { moreOptions } from './options/more.ts';
import type { ValueOf } from './values.ts';

export { type Group, type OptionEntry, groups } from './options/entry.ts';

/** Every option, once: the parser, `--help` and the reference page read this table. */
export const optionTable = { ...mainOptions, ...moreOptions };

export type OptionName = keyof typeof optionTable;
type Entry<N extends OptionName> = (typeof optionTable)[N];

/** The value of every option: given, from the environment, or the default; null when there is none. */
export type Options = {
  readonly [N in OptionName]: ValueOf<Entry<N>['kind']> | (Entry<N>['fallback'] extends null ? null : never);
};

/** Options of the daemon, which cannot do without these. */
export type RunOptions = PlanOptions & { readonly pgdata: string };

/** Options of `plan`, which asks a running Postgres. */
export type PlanOptions = Options & { readonly connstr: string };

export const optionEntries = Object.entries(optionTable) as readonly [OptionName, OptionEntry][];
