import { type Command, CommanderError } from 'commander';
import { clearer } from '../config/clearer.ts';
import { buildCommand, withVersion } from '../config/command.ts';
import { vmMonitor } from '../config/options/vm-monitor.ts';
import { readOptions } from '../config/read-options.ts';
import { parseLibpqUrl } from '../pg/libpq.ts';
import { buildVersion } from '../core/build.ts';
import { logFormatOf } from '../config/log-format.ts';
import { ComputeError } from '../core/errors.ts';
import { reportFailure } from '../core/report-failure.ts';
import { createLog, levelFromEnv } from '../core/log.ts';
import { logStrayOutput } from '../core/stray-output.ts';
import { closeInherited } from '../config/given-files.ts';
import { Metrics } from '../metrics/registry.ts';
import { giveUpRoot, isRoot } from '../process/give-up-root.ts';
import { findOsUser } from '../process/os-user.ts';
import { onSignals } from '../process/signals.ts';
import { parseAddress } from './address.ts';
import { FileCache } from './file-cache.ts';
import { startMonitor } from './server.ts';

/** argv, environment, signals and the exit code of `vm-monitor`, the monitor as a separate program. */
async function run(): Promise<void> {
  const { name, main } = vmMonitor;
  const command = withVersion(buildCommand(name, main), buildVersion);
  command.configureOutput({ writeErr: () => {} });
  parse(command);
  const given = readOptions(command, main.options, process.env);
  const log = createLog({ format: given.logFormat, level: levelFromEnv(process.env['RUST_LOG']) });
  logStrayOutput(log);
  const stop = new Promise<void>((resolve) => {
    onSignals((signal, meaning) => {
      log.info(`received ${signal}${meaning === 'stop' ? '' : ': ignored'}`);
      if (meaning === 'stop') resolve();
    });
  });
  closeInherited();
  // It only reads; whoever connects, or answers for the file cache, must not reach root.
  if (isRoot()) giveUpRoot(await findOsUser(given.osUser));
  const cache =
    given.pgconnstr === null ? null : new FileCache(parseLibpqUrl(given.pgconnstr, '--pgconnstr'), log);
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
  if (error instanceof CommanderError) return 0; // the help or the version was asked for
  return reportFailure(error, logFormatOf(process.argv.slice(2)));
}

/** @throws ComputeError `usage`; CommanderError after the help or the version */
function parse(command: Command): void {
  try {
    command.parse();
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode === 0) throw error;
    throw new ComputeError('usage', clearer(error.message, command).replace(/^error: /, ''), {
      hint: "see 'vm-monitor --help'",
    });
  }
}

// All work is done by then; an open handle must not keep the process running.
void run()
  .then(() => 0, report)
  .then((code) => process.exit(code));
