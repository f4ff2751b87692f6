import type { ProcessOptions } from './process.ts';

/** Raises the limit for core dumps to the system's hard limit: without a core dump a crash cannot be analyzed. */
const unlimitedCores =
  'ulimit -S -c unlimited 2>/dev/null || ulimit -S -c "$(ulimit -H -c)" 2>/dev/null; exec "$0" "$@"';

/** The command that starts a program in a memory control group, by `cgexec`, and with core dumps. The shell that starts
 *  it exits with 126 or 127 when the program is missing or not executable.
 *  @param cgroup null: stay in our own group */
export function inCgroup(
  program: string,
  args: readonly string[],
  cgroup: string | null,
): Pick<ProcessOptions, 'name' | 'command' | 'args'> {
  const shell = ['-c', unlimitedCores, program, ...args];
  if (cgroup === null) return { name: program, command: '/bin/sh', args: shell };
  return { name: program, command: 'cgexec', args: ['-g', `memory:${cgroup}`, '/bin/sh', ...shell] };
}
