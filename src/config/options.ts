import { optionTable } from './options/compute-ctl.ts';
import type { OptionEntry, Values } from './options/entry.ts';

export type OptionName = keyof typeof optionTable;

/** The options of `compute_ctl`, from its command line and its environment. */
export type Options = Values<typeof optionTable>;

/** Options of the daemon, which requires these. */
export type RunOptions = PlanOptions & { readonly pgdata: string };

/** Options of `plan`, which queries a running Postgres. */
export type PlanOptions = Options & { readonly connstr: string };

export const optionEntries = Object.entries(optionTable) as readonly [OptionName, OptionEntry][];
