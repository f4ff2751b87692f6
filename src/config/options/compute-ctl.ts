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

/** Both take the whole command line of a running compute, but list only what they read. */
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
  'Turns an empty directory into a running, configured Postgres from one JSON spec, watches it and shuts down cleanly.';

export const computeCtl = {
  name: 'compute_ctl',
  doc,
  main: { doc, options: optionTable },
  commands: {
    check: {
      doc: 'Validates a config and prints it resolved, with its secrets masked. Touches nothing.',
      options: forCommands,
      listed: readByCheck,
    },
    plan: {
      doc: 'Prints the statements that a running Postgres lacks to be as the spec asks. Writes nothing; exits 2 when there are any.',
      options: forCommands,
      listed: [...readByCheck, 'connstr', 'privilegedRoleName'],
    },
  },
} as const satisfies ProgramEntry;
