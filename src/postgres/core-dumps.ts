import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type RunResult, runProcess } from '../process/run-process.ts';

const mostDumps = 5;
const debuggerMs = 30_000;
const mostBytes = 256 * 1024;

const debuggers = [
  { command: 'gdb', args: (bin: string, core: string) => ['--batch', '-q', '-ex', 'bt', bin, core] },
  {
    command: 'lldb',
    args: (_bin: string, core: string) => ['-c', core, '--batch', '-o', 'bt all', '-o', 'quit'],
  },
];

/** Logs a backtrace of every core dump in PGDATA, five at most and 30 s for each; errors are only logged.
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
    for (const name of dumps.slice(0, mostDumps)) {
      const core = join(pgdata, name);
      const { stdout, stderr } = await backtrace(bin, core, signal);
      log.error({ core, backtrace: stdout, debugger: stderr }, 'Postgres crashed and left a core dump');
    }
    return dumps.length;
  } catch (error) {
    log.error(`could not report core dumps: ${explained(error)}`);
    return 0;
  }
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
