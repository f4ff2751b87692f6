import { parseArgs } from './args.ts';
import { codeOf, errorCodes, errorText } from '../core/errors.ts';
import { createLog, levelFromEnv } from '../core/log.ts';
import { becomeOsUser } from './become-os-user.ts';
import { writeLine } from '../core/stderr.ts';
import { watchStops } from './stop-source.ts';

/** argv, environment, signals and the exit code of `compute_ctl`; every decision is made elsewhere. */
async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const parsed = parseArgs(argv, env);
  if ('text' in parsed) {
    process.stdout.write(`${parsed.text}\n`);
    return 0;
  }
  const { options } = parsed;
  const log = createLog({ format: options.logFormat, level: levelFromEnv(env['RUST_LOG']) });
  if (parsed.command === 'check') {
    await becomeOsUser(options, null);
    const { check } = await import('./check.ts');
    process.stdout.write(await check(options, parsed.json, env));
    return 0;
  }
  if (parsed.command === 'plan') {
    await becomeOsUser(options, null);
    const { plan } = await import('./plan.ts');
    const { text, exitCode } = await plan(parsed.options, parsed.json, env);
    process.stdout.write(text);
    return exitCode;
  }
  for (const line of [...parsed.notes, ...parsed.notBuilt]) log.warn(line);
  // Others on this machine can read the command line: a spec and a connection string hold secrets.
  if (options.spec !== null || /:[^/@]+@|password=/.test(options.connstr ?? ''))
    process.title = 'compute_ctl';
  const stops = watchStops(log);
  await becomeOsUser(parsed.options, parsed.options.pgdata);
  const { main } = await import('./main.ts');
  return main(parsed.options, { log, env, stops });
}

function report(error: unknown): number {
  for (const line of errorText(error).split('\n')) writeLine(line);
  return errorCodes[codeOf(error)].exit;
}

// All work is done; an open handle must not keep the process running.
void run(process.argv.slice(2), process.env)
  .catch(report)
  .then((code) => process.exit(code));
