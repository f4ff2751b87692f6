import { never } from '../../core/abort.ts';
import { inspectDir } from '../own.ts';
import { whileAwake } from '../wake.ts';
import type { LocalDir } from '../state.ts';
import { type Accepted, accept, readAccepted } from './accepted.ts';
import { serverProblems } from './against-server.ts';
import type { Answer } from './answer.ts';
import { changeText } from './change.ts';
import { type Diff, diff } from './diff.ts';
import { type Observed, observe } from './observe.ts';
import { leftText } from './outcome.ts';
import { type ReadFile, commandWith, dropCommands, problemsIn, readDesired } from './read.ts';
import { type Writer, runningWriter } from './running.ts';

/** What is wanted, what is there, and the difference. */
export interface Looked extends Diff {
  readonly wanted: Accepted;
  readonly before: Accepted | null;
  /** Null while Postgres does not run. */
  readonly running: { readonly writer: Writer; readonly observed: Observed } | null;
}

/** The exit code when there is something to do, as of `compute_ctl plan`; 2 is a usage error's. */
const changesExit = 3;

/** Shows what `apply` would change. It only reads.
 *  @returns the exit code: 0 or 3
 *  @throws FileProblems; ComputeError `dir_refused`, `not_found`, `sql` */
export async function plan(dir: LocalDir, given: string | null, answer: Answer): Promise<number> {
  const file = readDesired(dir, given);
  const looked = await whileAwake(dir, 'plan', never, () => look(dir, file));
  const { changes, left, running } = looked;
  answer.result({ running: running !== null, changes, left }, planText(dir, given, looked));
  return changes.length === 0 ? 0 : changesExit;
}

/** Of one that sleeps it sees nothing: see `whileAwake`.
 *  @throws FileProblems `spec_invalid` also for what only the server knows */
export async function look(dir: LocalDir, file: ReadFile): Promise<Looked> {
  inspectDir(dir, 'stop');
  return lookAsItIs(dir, file, never);
}

/** The same for who has looked at the directory before: while it sleeps, it does not run.
 *  @throws FileProblems `spec_invalid`; ComputeError `sql` */
export async function lookAsItIs(
  dir: LocalDir,
  { source, desired }: ReadFile,
  signal: AbortSignal,
): Promise<Looked> {
  const before = readAccepted(dir);
  const wanted = accept(desired, source.file, before);
  const writer = runningWriter(dir);
  if (writer === null) return { wanted, before, running: null, ...diff(wanted, before, null) };
  const observed = await observe(writer.socket, wanted, signal);
  const problems = serverProblems(wanted, Object.keys(desired.settings), observed);
  if (problems.length > 0) throw problemsIn(source, problems);
  return { wanted, before, running: { writer, observed }, ...diff(wanted, before, observed) };
}

function planText(dir: LocalDir, given: string | null, { changes, left, running }: Looked): string {
  const lines =
    changes.length === 0
      ? ['Nothing to do: everything is as compute.json asks.']
      : [
          `${changes.length === 1 ? '1 change' : `${changes.length} changes`}, which \`${commandWith(dir, 'apply', given)}\` makes:`,
          ...changes.map((one) => `  ${changeText(one)}`),
        ];
  const note =
    running === null ? ['It is not running: this is the difference from what was applied last.'] : [];
  return [...lines, ...leftText(left, dropCommands(dir, given)), ...note].join('\n');
}
