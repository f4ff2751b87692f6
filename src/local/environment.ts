import { environmentEntries } from '../config/environment.ts';
import { optionTable } from '../config/options/compute-ctl.ts';
import type { OptionTable } from '../config/options/entry.ts';
import { environmentForPrograms, only } from '../process/environment.ts';

const options: OptionTable = optionTable;

/** Read by Node, by OpenTelemetry's packages, and by the tests. */
const alsoRead = [
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'UV_THREADPOOL_SIZE',
  'OTEL_*',
  'NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES',
];

const readByOwnPrograms: readonly string[] = [
  ...environmentEntries.map(([name]) => name),
  ...['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'],
  ...Object.values(options).flatMap(({ env }) => env ?? []),
  ...alsoRead,
];

/** What compute_ctl and the storage get of our environment: what every program gets, and what they read themselves. */
export const environmentForOwnPrograms = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...environmentForPrograms(env),
  ...only(env, readByOwnPrograms),
});

/** How psql shows its output and lets people edit. Nothing here says where it connects. */
const readByPsql = [
  ...['COLUMNS', 'LINES', 'PAGER', 'PSQL_PAGER', 'PSQL_WATCH_PAGER', 'LESS', 'LESS*', 'MORE', 'NO_COLOR'],
  ...['EDITOR', 'VISUAL', 'PSQL_EDITOR', 'PSQL_EDITOR_LINENUMBER_ARG', 'PSQL_HISTORY', 'PSQLRC'],
  ...['PG_COLOR', 'PG_COLORS', 'INPUTRC', 'TERMINFO', 'TERMINFO_DIRS', 'DISPLAY', 'WAYLAND_DISPLAY'],
];

/** What psql gets of our environment: what every program gets, and what it needs in a terminal. */
export const environmentForPsql = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...environmentForPrograms(env),
  ...only(env, readByPsql),
});
