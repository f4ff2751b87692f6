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

const readByCheck = [
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

export const computeCtl = {
  name: 'compute_ctl',
  doc,
  main: { doc, options: optionTable },
  commands: {
    check: {
      doc: 'Validates a config and prints the result, with defaults filled in and secrets masked. Changes nothing.',
      options: forCommands,
      listed: readByCheck,
    },
    plan: {
      doc: 'Prints the SQL statements that would bring a running Postgres to the spec. Executes none of them; exits with 2 when there are any.',
      options: forCommands,
      listed: [...readByCheck, 'connstr', 'privilegedRoleName'],
    },
  },
} as const satisfies ProgramEntry;
