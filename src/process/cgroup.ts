import type { ProcessOptions } from './process.ts';

/** A core dump may be as large as the system's hard limit allows: without one a crash of the program says nothing. */
const unlimitedCores = 'ulimit -S -c unlimited 2>/dev/null; exec "$0" "$@"';

/** How a program is started in a memory control group, by `cgexec`, and with core dumps. The shell in front of it exits with
 *  126 or 127 when the program is not there or may not be run.
 *  @param cgroup null: stay in ours */
export function inCgroup(
  program: string,
  args: readonly string[],
  cgroup: string | null,
): Pick<ProcessOptions, 'name' | 'command' | 'args'> {
  const shell = ['-c', unlimitedCores, program, ...args];
  if (cgroup === null) return { name: program, command: '/bin/sh', args: shell };
  return { name: program, command: 'cgexec', args: ['-g', `memory:${cgroup}`, '/bin/sh', ...shell] };
}
