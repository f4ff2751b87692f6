import { computeCtl } from './compute-ctl.ts';
import { computeLocal } from './compute-local.ts';
import type { CommandEntry, ProgramEntry } from './entry.ts';
import { vmMonitor } from './vm-monitor.ts';

/** Every program, for the reference. */
export const programs: readonly ProgramEntry[] = [computeCtl, computeLocal, vmMonitor];

/** Everything with a `--help` of its own; the key is the call, such as `compute_ctl check`. */
export const commandLines: readonly (readonly [string, CommandEntry])[] = programs.flatMap(
  ({ name, main, commands }) => [
    ...(main === null ? [] : [[name, main] as const]),
    ...Object.entries(commands).map(([command, entry]) => [`${name} ${command}`, entry] as const),
  ],
);
