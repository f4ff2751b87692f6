import type { OptionEntry, ProgramEntry } from './entry.ts';
import { mainOptions } from './main.ts';
import { moreOptions } from './more.ts';

/** Every option of a running compute. */
export const optionTable = { ...mainOptions, ...moreOptions };

const json = {
  flag: '--json',
  kind: 'flag',
  fallback: false,
  group: 'other',
  doc: 'Print JSON.',
} as const satisfies OptionEntry;

/** Both accept the whole command line of a running compute, but their help lists only the options they read. */
const forCommands = { ...optionTable, json };

const readByBoth = [
  'config',
  'controlPlaneUri',
  'computeId',
  'jwks',
  'controlPlaneTimeoutSeconds',
  'json',
  'spec',
  'specPath',
] as const;

const doc =
  'Creates a configured Postgres in an empty directory from one JSON spec, runs it, watches it and shuts it down cleanly.';

/** Without Postgres only the settings are not checked, and without a data directory only that is not. */
const readByCheck = [...readByBoth, 'pgbin', 'pgdata', 'connstr', 'privilegedRoleName', 'live'] as const;

const live = {
  flag: '--live',
  kind: 'flag',
  fallback: false,
  group: 'other',
  doc: 'Also check what is so only at this moment: that the ports are free.',
} as const satisfies OptionEntry;

export const computeCtl = {
  name: 'compute_ctl',
  doc,
  main: { doc, options: optionTable },
  commands: {
    check: {
      doc: 'Validates a config and prints the result, with defaults filled in and secrets masked. Changes nothing. The exit code is 0 when it is valid, 3 when it is valid with warnings, 1 when it is invalid, 2 after a usage error.',
      options: { ...forCommands, live },
      listed: readByCheck,
    },
    plan: {
      doc: 'Prints the SQL statements that would bring a running Postgres to the spec. Executes none of them; exits with 3 when there are any, 0 when there are none.',
      options: forCommands,
      listed: [...readByBoth, 'connstr', 'privilegedRoleName', 'lakebaseMode'],
    },
  },
} as const satisfies ProgramEntry;
