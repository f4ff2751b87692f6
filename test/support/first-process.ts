import { type ChildProcess, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { eventually } from './program.ts';

/** Why the tests of process 1 cannot run here; empty: they can. */
export const whyNoNamespaces = (): string => {
  if (process.getuid?.() !== 0) return 'root is required';
  const { status, stderr } = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true'], {
    encoding: 'utf8',
  });
  return status === 0 ? '' : `no PID namespaces here: ${stderr}`;
};

/** The words before a command that is to be process 1 of a PID namespace, which ends with `unshare`. */
export const asFirst = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'] as const;

/** Of the namespace that `unshare` has made, as this machine counts.
 *  @param notYet names of programs that become it */
export const firstProcess = (
  unshare: ChildProcess,
  output: () => string,
  notYet: readonly string[] = [],
): Promise<number> =>
  eventually('process 1', () => {
    if (unshare.exitCode !== null) throw new Error(output());
    const { pid } = unshare;
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    if (first === '') return undefined;
    const name = readFileSync(`/proc/${first}/comm`, 'utf8').trim();
    return ['unshare', ...notYet].includes(name) ? undefined : Number(first);
  });

/** Runs a line of the shell among the processes of a namespace. */
export function runBeside(first: number, line: string): string {
  const { stdout, stderr, status } = spawnSync(
    'nsenter',
    [`--target=${first}`, '--pid', '--mount', 'sh', '-c', line],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${line} ended with ${status}: ${stderr}`);
  return stdout;
}

/** Makes processes whose parent has ended, and which end themselves. */
export const makeOrphans = (first: number, count: number): string =>
  runBeside(first, `i=0; while [ $i -lt ${count} ]; do (true &); i=$((i+1)); done`);

/** How many ended processes wait for a parent to take notice. */
export const zombiesOf = (parent: number): number =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return state === 'Z' && Number(ppid) === parent;
    } catch {
      return false; // gone meanwhile
    }
  }).length;
