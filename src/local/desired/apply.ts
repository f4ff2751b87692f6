import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import { lockApply } from '../lock.ts';
import { whileAwake } from '../wake.ts';
import { inspectDir } from '../own.ts';
import { type LocalDir, commandFor, readState } from '../state.ts';
import { withoutDropped, writeAccepted } from './accepted.ts';
import type { Answer } from './answer.ts';
import { type ApplyContext, applyRunning } from './apply-running.ts';
import { type Droppable, isDroppable } from './change.ts';
import { untilStarted } from './configure.ts';
import { confirmed } from './confirm.ts';
import { toolsFor } from '../commands/storage.ts';
import { checkStopped } from './check-stopped.ts';
import { type PlacedOutcome, type Refusal, leftText, outcomeText, waits } from './outcome.ts';
import { type Looked, look } from './plan.ts';
import { placeOfChange } from './place-of-change.ts';
import { type ReadFile, commandWith, dropCommands, readDesired } from './read.ts';

export interface ApplyOptions {
  readonly file: string | null;
  readonly pgBinDir: string | null;
  readonly restart: boolean;
  readonly prune: boolean;
  readonly yes: boolean;
  /** Asks whether that may be dropped; left out: on the terminal. */
  readonly confirm?: (drop: readonly Droppable[]) => Promise<boolean>;
}

/** Every answer has each of these. */
const nothing = { outcomes: [], left: [], dropped: [], notRestarted: [], error: null };

/** Whom it concerns, and how it is told. */
interface Told {
  readonly dir: LocalDir;
  /** A command line for hints, with this directory and this file. */
  readonly how: (words: string) => string;
  readonly drops: ReturnType<typeof dropCommands>;
  readonly answer: Answer;
}

/** Makes the compute what compute.json says, and keeps that for every later start. While nothing runs, the next start does it.
 *  @returns the exit code: 0, or 1 when something failed
 *  @throws FileProblems; ComputeError `usage`, `conflict`, `dir_refused`, `sql` */
export const apply = async (dir: LocalDir, options: ApplyOptions, answer: Answer): Promise<number> =>
  applyFile(dir, readDesired(dir, options.file), options, answer);

/** The same with a file that was read.
 *  @throws ComputeError as `apply` */
export async function applyFile(
  dir: LocalDir,
  file: ReadFile,
  options: ApplyOptions,
  answer: Answer,
): Promise<number> {
  if (inspectDir(dir, 'stop').kind === 'new')
    throw new ComputeError('conflict', `there is no compute in ${dir.root}`, {
      hint: `create one with: ${commandFor(dir, 'init')}, or: ${commandFor(dir, 'up')}`,
    });
  const lock = await lockApply(dir);
  try {
    return await whileAwake(dir, 'apply', never, () => locked(dir, file, options, answer));
  } finally {
    await lock.release();
  }
}

async function locked(dir: LocalDir, file: ReadFile, options: ApplyOptions, answer: Answer): Promise<number> {
  await untilStarted(dir, answer, never);
  const looked = await look(dir, file);
  const drop = options.prune ? looked.left.filter(isDroppable) : [];
  if (looked.running === null && drop.length > 0)
    throw new ComputeError('conflict', '--prune requires a running compute', {
      hint: `start it with: ${commandFor(dir, 'up')}`,
    });
  if (drop.length > 0 && !options.yes && !(await (options.confirm ?? confirmed)(drop))) {
    answer.progress('Nothing was changed.');
    const { left } = looked;
    answer.result({ ...nothing, running: true, accepted: false, left }, '');
    return 1;
  }
  const { running } = looked;
  const how = (words: string): string => commandWith(dir, words, options.file);
  const drops = dropCommands(dir, options.file);
  if (running === null) return applyStopped(file, looked, options, { dir, how, drops, answer });
  const { restart } = options;
  return applied(file, looked, running, { dir, how, drops, drop, restart, answer, signal: never });
}

/** @throws ComputeError `spec_invalid` with what would keep the next start from working */
async function applyStopped(
  file: ReadFile,
  looked: Looked,
  options: ApplyOptions,
  { dir, drops, answer }: Told,
): Promise<number> {
  const { wanted, changes, left } = looked;
  const { postgres } = await toolsFor(dir, readState(dir), options, never);
  await checkStopped(file, wanted, postgres.path, never);
  writeAccepted(dir, wanted);
  const text = [
    `Accepted. It is not running: the next \`${commandFor(dir, 'up')}\` applies it.`,
    ...leftText(left, drops),
  ];
  const outcomes = changes.map((one): PlacedOutcome => ({ ...one, ...waits, place: null }));
  answer.result({ ...nothing, running: false, accepted: true, outcomes, left }, text.join('\n'));
  return 0;
}

async function applied(
  file: ReadFile,
  looked: Looked,
  running: NonNullable<Looked['running']>,
  context: ApplyContext & Told,
): Promise<number> {
  const { dir, how, drops } = context;
  const { accepted, left, dropped, refusal, notRestarted, ...found } = await applyRunning(
    context,
    looked,
    running,
  );
  const outcomes = found.outcomes.map((one) => ({
    ...one,
    place: one.result === 'failed' ? placeOfChange(file, one) : null,
  }));
  if (accepted && dropped.length > 0) writeAccepted(dir, withoutDropped(looked.wanted, dropped));
  const text = [
    ...appliedText(outcomes, dropped, refusal, how('apply --restart')),
    ...leftText(left, drops),
    ...(refusal === null ? [] : refusalText(outcomes, refusal, accepted)),
    ...notRestarted.flatMap(({ name, reason, hint }) => [
      `  ! ${name} did not restart: ${reason}`,
      ...(hint === null ? [] : [`  Hint: ${hint}`]),
    ]),
  ];
  context.answer.result(
    { running: true, accepted, outcomes, left, dropped, notRestarted, error: refusal },
    text.join('\n'),
  );
  const isDone = refusal === null && notRestarted.length === 0;
  return isDone && outcomes.every(({ result }) => result !== 'failed') ? 0 : 1;
}

/** With the reason, unless an object has it: what could not be dropped is none of those. */
const refusalText = (
  outcomes: readonly PlacedOutcome[],
  { reason, hint }: Refusal,
  accepted: boolean,
): string[] => [
  ...(outcomes.some((one) => one.reason === reason)
    ? []
    : [`  ${reason}`, ...(hint === null ? [] : [`  Hint: ${hint}`])]),
  accepted
    ? '  Not everything could be dropped. All else was accepted.'
    : '  The compute refused it, so what was accepted before stays.',
];

function appliedText(
  outcomes: readonly PlacedOutcome[],
  dropped: readonly Droppable[],
  refusal: Refusal | null,
  restart: string,
): string[] {
  const waiting = outcomes.some(({ result }) => result === 'waits');
  return [
    ...(outcomes.length + dropped.length === 0 && refusal === null
      ? ['Nothing to do: everything is as compute.json asks.']
      : outcomes.map(outcomeText)),
    ...dropped.map(({ kind, name }) => `  - ${kind} ${JSON.stringify(name)}: dropped`),
    ...(waiting ? [`  To restart Postgres now: ${restart}`] : []),
  ];
}
