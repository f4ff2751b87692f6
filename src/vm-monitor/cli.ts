import { Command, CommanderError, Option } from 'commander';
import { parseLibpqUrl } from '../pg/libpq.ts';
import { buildVersion } from '../core/build.ts';
import { ComputeError, errorCodes, inline } from '../core/errors.ts';
import { createLog, levelFromEnv } from '../core/log.ts';
import { Metrics } from '../metrics/registry.ts';
import { parseAddress } from './address.ts';
import { FileCache } from './file-cache.ts';
import { defaultAddress, defaultCgroup, defaultCgroupRoot } from './defaults.ts';
import { startMonitor } from './server.ts';

/** argv, environment, signals and the exit code of `vm-monitor`, the monitor as a program of its own. */
interface Given {
  readonly cgroup: string;
  readonly pgconnstr?: string;
  readonly addr: string;
  readonly cgroupRoot: string;
  readonly logFormat: 'text' | 'json';
}

function buildProgram(): Command {
  return new Command('vm-monitor')
    .description('Speaks with the autoscaler agent of the node about the memory of this VM.')
    .version(buildVersion, '--version')
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .option('-c, --cgroup <name>', 'Control group of Postgres.', defaultCgroup)
    .option(
      '-p, --pgconnstr <string>',
      'Connection to the file cache; without it the file cache is left alone.',
    )
    .option('-a, --addr <ip:port>', 'Where to listen.', defaultAddress)
    .addOption(
      new Option('--cgroup-root <dir>', 'Where the control groups (version 2) are mounted.')
        .env('COMPUTE_CTL_CGROUP_ROOT')
        .default(defaultCgroupRoot),
    )
    .addOption(
      new Option('--log-format <form>', 'Form of the log lines.').choices(['text', 'json']).default('text'),
    );
}

async function run(): Promise<void> {
  const given = buildProgram().parse().opts<Given>();
  const log = createLog({ format: given.logFormat, level: levelFromEnv(process.env['RUST_LOG']) });
  const stop = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const) {
      process.on(signal, () => {
        log.info(`received ${signal}`);
        resolve();
      });
    }
  });
  const cache = given.pgconnstr === undefined ? null : new FileCache(parseLibpqUrl(given.pgconnstr), log);
  const monitor = await startMonitor({
    listening: parseAddress(given.addr),
    cgroup: { root: given.cgroupRoot, name: given.cgroup },
    fileCache: () => cache,
    metrics: new Metrics(),
    log,
  });
  await stop;
  await monitor.close();
  await cache?.close();
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    process.stderr.write(`${error.message}\n`);
    return errorCodes.usage.exit;
  }
  const hint = error instanceof ComputeError && error.hint !== undefined ? `\nHint: ${error.hint}` : '';
  process.stderr.write(`Error: ${inline(error)}${hint}\n`);
  return error instanceof ComputeError ? errorCodes[error.code].exit : 1;
}

// Nothing is left to be done then; a forgotten handle must not keep the process.
void run()
  .then(() => 0, report)
  .then((code) => process.exit(code));
