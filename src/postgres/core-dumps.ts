import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withDeadline } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type RunResult, runProcess } from '../process/run-process.ts';

const mostDumps = 5;
const debuggerMs = 30_000;
/** For all of them: they delay the end of the process. */
const totalMs = 60_000;
/** A larger one is named, and left to people. */
const mostCoreBytes = 64 * 1024 ** 3;
const mostBytes = 256 * 1024;

const debuggers = [
  {
    command: 'gdb', // Without the settings files, of which one may lie in PGDATA.
    args: (bin: string, core: string) => ['-nx', '--batch', '-q', '-ex', 'bt', bin, core],
  },
  {
    command: 'lldb',
    args: (_bin: string, core: string) => [
      '--no-lldbinit',
      '-c',
      core,
      '--batch',
      '-o',
      'bt all',
      '-o',
      'quit',
    ],
  },
];

/** Logs a backtrace of every core dump in PGDATA, five at most, 30 s for each and 60 s for all; errors are only logged.
 *  Call it after Postgres has ended.
 *  @returns the number of dumps found */
export async function reportCoreDumps(
  pgdata: string,
  bin: string,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  try {
    const entries = await readdir(pgdata, { withFileTypes: true });
    // A link or a fifo with such a name is not a dump.
    const dumps = entries.filter((entry) => entry.isFile() && isCoreDump(entry.name)).map(({ name }) => name);
    if (dumps.length > mostDumps) log.warn(`${dumps.length} core dumps in ${pgdata}: reporting ${mostDumps}`);
    await withDeadline('the backtraces of core dumps', totalMs, signal, async (limited) => {
      for (const name of dumps.slice(0, mostDumps)) await report(join(pgdata, name), bin, log, limited);
    });
    return dumps.length;
  } catch (error) {
    log.error(`could not report core dumps: ${explained(error)}`);
    return 0;
  }
}

async function report(core: string, bin: string, log: Log, signal: AbortSignal): Promise<void> {
  const { size } = await lstat(core);
  if (size > mostCoreBytes)
    return log.error(
      { core, size },
      'Postgres crashed and left a core dump that is too large for a backtrace',
    );
  const { stdout, stderr } = await backtrace(bin, core, signal);
  log.error({ core, backtrace: stdout, debugger: stderr }, 'Postgres crashed and left a core dump');
}

/** The kernel names core dumps `core`, or `core.` and the pid. */
export const isCoreDump = (name: string): boolean => name === 'core' || name.startsWith('core.');

async function backtrace(bin: string, core: string, signal: AbortSignal): Promise<RunResult> {
  let missing: unknown;
  for (const { command, args } of debuggers) {
    try {
      const limits = { limitMs: debuggerMs, maxBytes: mostBytes };
      return await runProcess({ command, args: args(bin, core), ...limits }, signal);
    } catch (error) {
      if (!(error instanceof ComputeError) || error.code !== 'program_missing') throw error;
      missing = error;
    }
  }
  throw new ComputeError('not_found', `cannot read core dump ${core}: there is no debugger`, {
    cause: missing,
    hint: 'install gdb',
  });
}
