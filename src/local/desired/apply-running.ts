import { basename } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { type LocalDir, commandFor } from '../state.ts';
import { type Accepted, writeAccepted } from './accepted.ts';
import type { Answer } from './answer.ts';
import { type Change, type Droppable, type Left, keyOf } from './change.ts';
import { configure, putInForce, refusalOf, restart } from './configure.ts';
import { type Diff, diff } from './diff.ts';
import { installExtensions } from './install.ts';
import { type Observed, observe } from './observe.ts';
import { type Outcome, type Refusal, outcomesOf, outcomesOfRefusal, overridden } from './outcome.ts';
import { preloadOf } from './packages.ts';
import type { Looked } from './plan.ts';
import { type Writer, othersIn } from './running.ts';

export interface Applied {
  /** False: what was in force before stays, and nothing was dropped. */
  readonly accepted: boolean;
  readonly outcomes: readonly Outcome[];
  readonly left: readonly Left[];
  readonly dropped: readonly Droppable[];
  /** Why the compute refused the spec, or to drop something. */
  readonly refusal: Refusal | null;
  /** Replicas and static nodes that were to restart, and did not. */
  readonly notRestarted: readonly NotRestarted[];
}

interface NotRestarted extends Refusal {
  readonly name: string;
}

export interface ApplyContext {
  readonly dir: LocalDir;
  readonly drop: readonly Droppable[];
  readonly restart: boolean;
  readonly answer: Answer;
  readonly signal: AbortSignal;
}

/** Changes a running compute: its spec first, then what is dropped, then, where asked for, a restart, then the extensions. What was
 *  accepted is kept as soon as the compute runs with it.
 *  @throws ComputeError `postgres_start`, `deadline` when it does not run again after the restart; what was accepted is kept then */
export async function applyRunning(
  context: ApplyContext,
  { wanted, before, changes }: Looked,
  { writer, observed }: NonNullable<Looked['running']>,
): Promise<Applied> {
  const { dir, drop, answer, signal } = context;
  try {
    const isNeeded = changes.some(needsSpec);
    if (isNeeded) answer.progress('Configuring the compute ...');
    if (isNeeded) await putInForce(dir, writer, { wanted, before }, () => writeAccepted(dir, wanted), signal);
    else writeAccepted(dir, wanted);
  } catch (error) {
    const refusal = refusalOf(error);
    const { changes: after, left } = await lookAgain(writer, wanted, signal);
    const outcomes = outcomesOfRefusal(changes, after, refusal);
    return { accepted: false, outcomes, left, dropped: [], refusal, notRestarted: [] };
  }
  const refusal = await dropped(context, writer, wanted);
  const late = (await lookAgain(writer, wanted, signal)).changes.filter((one) => one.restart);
  const restarts = late.length > 0 && context.restart;
  const notRestarted = restarts ? await restartAll(context, writer) : [];
  const waiting = changes.filter((one) => !restarts && waitsForLibrary(one, late));
  const now = changes.filter((one) => one.kind === 'extension' && !waiting.includes(one));
  if (now.length > 0) answer.progress('Installing extensions ...');
  const failures = await installExtensions(writer.state, now, observed, signal);
  const { changes: after, left, observed: last } = await lookAgain(writer, wanted, signal);
  for (const [key, failure] of overridden(after, last.lines, commandFor(dir, 'psql --admin')))
    failures.set(key, failure);
  return {
    accepted: true,
    outcomes: outcomesOf(changes, after, failures, new Set(waiting.map(keyOf))),
    left,
    dropped: drop.filter((one) => !left.some(({ kind, name }) => kind === one.kind && name === one.name)),
    refusal,
    notRestarted,
  };
}

/** Drops by a spec of its own: when another change of the same one was refused, what was in force before would be set again, and
 *  with it a database of the same name without its data.
 *  @returns why it was refused; null when all is dropped */
async function dropped(
  { dir, drop, answer, signal }: ApplyContext,
  writer: Writer,
  wanted: Accepted,
): Promise<Refusal | null> {
  if (drop.length === 0) return null;
  answer.progress('Dropping what is no longer named ...');
  try {
    await configure(dir, writer, { wanted, before: wanted, drop }, signal);
    return null;
  } catch (error) {
    return refusalOf(error);
  }
}

/** A replica whose limits are below those of its primary replays nothing until it has the new ones.
 *  @throws as `restart`, for the primary */
async function restartAll({ dir, answer, signal }: ApplyContext, writer: Writer): Promise<NotRestarted[]> {
  answer.progress('Restarting Postgres ...');
  try {
    await restart(writer, signal);
  } catch (error) {
    signal.throwIfAborted();
    const { code, reason, hint } = refusalOf(error);
    throw new ComputeError(code, `everything was accepted, but Postgres does not run with it: ${reason}`, {
      cause: error instanceof ComputeError ? error.cause : error,
      hint: `${hint === null ? '' : `${hint}; `}correct compute.json, then apply again: every start uses what was accepted last`,
    });
  }
  const failed: NotRestarted[] = [];
  for (const other of othersIn(dir)) {
    const name = basename(other.dir.root);
    answer.progress(`Restarting ${name} ...`);
    try {
      await restart(other, signal);
    } catch (error) {
      signal.throwIfAborted();
      failed.push({ name, ...refusalOf(error) });
    }
  }
  return failed;
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
