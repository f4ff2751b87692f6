import { optionTable } from './options/compute-ctl.ts';
import type { OptionEntry, Values } from './options/entry.ts';

export type OptionName = keyof typeof optionTable;

/** What `compute_ctl` is told on its command line and by its environment. */
export type Options = Values<typeof optionTable>;

/** Options of the daemon, which cannot do without these. */
export type RunOptions = PlanOptions & { readonly pgdata: string };

/** Options of `plan`, which asks a running Postgres. */
export type PlanOptions = Options & { readonly connstr: string };

export const optionEntries = Object.entries(optionTable) as readonly [OptionName, OptionEntry][];
