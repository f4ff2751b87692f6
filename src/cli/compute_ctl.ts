import { parseArgs } from './args.ts';
import { logFormatOf } from '../config/log-format.ts';
import type { RunOptions } from '../config/options.ts';
import { ComputeError, inline } from '../core/errors.ts';
import { reportFailure } from '../core/report-failure.ts';
import { createLog, levelFromEnv } from '../core/log.ts';
import { logStrayOutput } from '../core/stray-output.ts';
import { becomeOsUser } from './become-os-user.ts';
import { saidAsFirstProcess } from '../process/first-process.ts';
import { isRoot } from '../process/give-up-root.ts';
import type { LogFiles } from '../process/log-files.ts';
import { readableHint, unreadablePrograms } from '../process/own-program.ts';
import { writeLine } from '../core/stderr.ts';
import { locatePostgres } from '../postgres/postgres-bin.ts';
import { type StopSource, watchStops } from './stop-source.ts';

/** Copies of the log; null without them. */
let files: LogFiles | null = null;

/** argv, environment, signals and the exit code of `compute_ctl`; every decision is made elsewhere. */
async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const parsed = parseArgs(argv, env);
  if ('text' in parsed) {
    process.stdout.write(`${parsed.text}\n`);
    return 0;
  }
  if ('of' in parsed) {
    const { manual } = await import('../manual/manual.ts');
    process.stdout.write(manual(parsed.command, parsed.of ?? 'compute_ctl'));
    return 0;
  }
  const { options } = parsed;
  if (parsed.command === 'run') files = await logFilesOf(parsed.options, env);
  const level = levelFromEnv(env['RUST_LOG']);
  const log = createLog({ format: options.logFormat, level }, undefined, files?.add);
  if (parsed.command === 'check') {
    const byRoot = isRoot();
    await becomeOsUser(options, null);
    const { check } = await import('./check.ts');
    const { text, log: found, exitCode } = await check(parsed, env, byRoot);
    process.stdout.write(text);
    for (const line of found) writeLine(line);
    return exitCode;
  }
  if (parsed.command === 'plan') {
    await becomeOsUser(options, null);
    const { plan } = await import('./plan.ts');
    const { text, exitCode } = await plan(parsed.options, parsed.json, env);
    process.stdout.write(text);
    return exitCode;
  }
  logStrayOutput(log);
  const pid1 = saidAsFirstProcess('compute_ctl');
  for (const line of [...parsed.notes, ...(pid1 === null ? [] : [pid1])]) log.warn(line);
  // Others on this machine can read the command line: a spec and a connection string hold secrets.
  if (options.spec !== null || /:[^/@]+@|password=/.test(options.connstr ?? ''))
    process.title = 'compute_ctl';
  const stops = watchStops(log);
  await becomeOsUser(parsed.options, parsed.options.pgdata);
  files?.begin(log);
  const unreadable = unreadablePrograms();
  if (unreadable !== null)
    log.warn(`${unreadable}, so parts that are loaded later, such as gRPC, will be missing: ${readableHint}`);
  const early = untilMain(stops);
  // It runs while everything else is loaded, and the config read.
  const postgres = locatePostgres(parsed.options.pgbin, env, early.signal);
  postgres.catch(() => {}); // whoever waits for it hears of its failure
  try {
    const { main } = await import('./main.ts');
    return await main(parsed.options, { log, env, stops, early: early.signal, postgres });
  } finally {
    early.abort();
    await postgres.catch(() => {});
  }
}

/** As in the original only in lakebase mode. An empty variable counts as not set. */
async function logFilesOf(
  { lakebaseMode, computeId }: RunOptions,
  env: NodeJS.ProcessEnv,
): Promise<LogFiles | null> {
  const directory = env['COMPUTE_CTL_LOG_DIRECTORY'] ?? '';
  if (!lakebaseMode || directory === '') return null;
  const ids = { pg_instance_id: env['INSTANCE_ID'] ?? '', pg_compute_id: computeId ?? '' };
  const { LogFiles: Made } = await import('../process/log-files.ts');
  return new Made({ directory, ids });
}

/** Aborts when the program is stopped before there is a compute that could be. */
function untilMain(stops: StopSource): AbortController {
  const early = new AbortController();
  stops.goTo({
    bySignal: () => early.abort(new ComputeError('terminated', 'stopped by a signal before the start')),
    byDefect: () => early.abort(new ComputeError('defect', 'stopped by a defect before the start')),
  });
  return early;
}

// All work is done; an open handle must not keep the process running.
const argv = process.argv.slice(2);
void run(argv, process.env)
  .catch((error: unknown) => {
    files?.add({ severity: 'FATAL', time: new Date().toISOString(), text: inline(error) });
    return reportFailure(error, logFormatOf(argv));
  })
  .then(async (code) => {
    await files?.end();
    return code;
  })
  .then((code) => process.exit(code));
