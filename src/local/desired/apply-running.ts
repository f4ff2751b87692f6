import { basename } from 'node:path';
import type { LocalDir } from '../state.ts';
import { type Accepted, writeAccepted } from './accepted.ts';
import type { Answer } from './answer.ts';
import { type Change, type Droppable, type Left, keyOf } from './change.ts';
import { configure, refusalOf, refreshOthers, restart } from './configure.ts';
import { type Diff, diff } from './diff.ts';
import { installExtensions } from './install.ts';
import { type Observed, observe } from './observe.ts';
import { type Outcome, type Refusal, outcomesOf, outcomesOfRefusal } from './outcome.ts';
import { preloadOf } from './packages.ts';
import type { Looked } from './plan.ts';
import { type Writer, othersIn } from './running.ts';

export interface Applied {
  readonly outcomes: readonly Outcome[];
  readonly left: readonly Left[];
  readonly dropped: readonly Droppable[];
  /** Why the compute refused the spec; then what was in force before stays. */
  readonly refusal: Refusal | null;
}

export interface ApplyContext {
  readonly dir: LocalDir;
  readonly drop: readonly Droppable[];
  readonly restart: boolean;
  readonly answer: Answer;
  readonly signal: AbortSignal;
}

/** Changes a running compute: its spec first, then, where asked for, a restart, then the extensions. What was accepted is kept
 *  as soon as the compute runs with it. */
export async function applyRunning(
  context: ApplyContext,
  { wanted, before, changes }: Looked,
  { writer, observed }: NonNullable<Looked['running']>,
): Promise<Applied> {
  const { dir, drop, answer, signal } = context;
  if (drop.length > 0 || changes.some(needsSpec)) {
    answer.progress('Configuring the compute ...');
    try {
      await configure(dir, writer, { wanted, before, drop }, signal);
    } catch (error) {
      const refusal = refusalOf(error);
      const { changes: after, left } = await lookAgain(writer, wanted, signal);
      return { outcomes: outcomesOfRefusal(changes, after, refusal), left, dropped: [], refusal };
    }
    await refreshOthers(dir, signal);
  }
  writeAccepted(dir, wanted);
  const late = (await lookAgain(writer, wanted, signal)).changes.filter((one) => one.restart);
  const restarts = late.length > 0 && context.restart;
  if (restarts) {
    answer.progress('Restarting Postgres ...');
    await restart(writer, signal);
    // A replica whose limits are below those of its primary replays nothing until it has the new ones.
    for (const other of othersIn(dir)) {
      answer.progress(`Restarting ${basename(other.dir.root)} ...`);
      await restart(other, signal);
    }
  }
  const waiting = changes.filter((one) => !restarts && waitsForLibrary(one, late));
  const now = changes.filter((one) => one.kind === 'extension' && !waiting.includes(one));
  if (now.length > 0) answer.progress('Installing extensions ...');
  const failures = await installExtensions(writer.state, now, observed, signal);
  const { changes: after, left } = await lookAgain(writer, wanted, signal);
  return {
    outcomes: outcomesOf(changes, after, failures, new Set(waiting.map(keyOf))),
    left,
    dropped: drop.filter((one) => !left.some(({ kind, name }) => kind === one.kind && name === one.name)),
    refusal: null,
  };
}

const lookAgain = async (
  { socket }: Writer,
  wanted: Accepted,
  signal: AbortSignal,
): Promise<Diff & { readonly observed: Observed }> => {
  const observed = await observe(socket, wanted, signal);
  return { observed, ...diff(wanted, wanted, observed) };
};

/** Everything but extensions, which are not in a spec. */
const needsSpec = ({ kind, action }: Change): boolean => kind !== 'extension' && action !== 'restart';

/** Whether an extension needs a library that is loaded at the next start. */
const waitsForLibrary = ({ kind, name }: Change, late: readonly Change[]): boolean =>
  kind === 'extension' &&
  preloadOf(name) !== null &&
  late.some((one) => one.name === 'shared_preload_libraries');
