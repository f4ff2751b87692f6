import { abortedBy } from '../../core/abort.ts';
import { monotonicMs } from '../../core/clock.ts';
import { poll } from '../../core/poll.ts';
import type { Front } from './front.ts';
import type { Limits } from './holders.ts';
import type { LastLook } from './last-look.ts';
import type { Roster } from './roster.ts';
import type { Session } from './session.ts';

/** For clients that are just logging in, and statements of those that are ignored. */
const settleMs = 5000;

export interface SuspendOptions {
  readonly front: Front;
  readonly limits: Limits;
  /** Whether a client keeps it awake. */
  readonly isHeld: () => boolean;
  /** Looks at Postgres once more, which nobody else's change of roles can slip past. Null: something keeps it awake, or it
   *  cannot be told. */
  readonly look: (signal: AbortSignal) => Promise<LastLook | null>;
  /** Called before the first session is left. */
  readonly onBegin: () => void;
}

/** What was left. */
export interface Left {
  /** Sessions that were ended. */
  readonly ended: number;
  /** Resolves when Postgres has stopped, with the number of those that it has cut off: they did not come by the front. */
  readonly cutOff: Promise<number>;
}

/** Leaves every session, unless somebody was quicker: no client's server process is needed any more.
 *  @returns null when it stays awake */
export async function leaveAll(options: SuspendOptions, signal: AbortSignal): Promise<Left | null> {
  const { front } = options;
  front.pause();
  let left: Left | null = null;
  try {
    left = await decide(options, signal);
    return left;
  } finally {
    if (left === null) front.reopen();
  }
}

async function decide(
  { front, limits, isHeld, look, onBegin }: SuspendOptions,
  signal: AbortSignal,
): Promise<Left | null> {
  const { usedMs } = front.usage;
  const isNeeded = (): boolean =>
    front.isDemanded ||
    front.usage.usedMs !== usedMs ||
    front.sessions.some((one) => one.isWaiting && !front.isIgnored(one));
  const settled = (): true | null => (isNeeded() || isSettled(front) ? true : null);
  await poll(settled, { everyMs: 10, limitMs: settleMs }, signal).catch((error: unknown) => {
    if (!abortedBy(error, signal)) throw error;
  });
  const leaves = front.sessions.filter(({ place }) => place === 'open');
  // Those that are ignored may have been used since they were asked.
  if (!isNeeded()) for (const one of leaves) await one.inspect();
  const last = isNeeded() || isHeld() ? null : await look(signal);
  if (last === null) return null;
  const { roster } = last.observed;
  const isFree = !isNeeded() && !isHeld();
  const stay = leaves.filter((one) => canDetach(one, roster));
  const cut = leaves.filter((one) => !stay.includes(one));
  const mayEnd = (one: Session): boolean =>
    front.isIgnored(one) || monotonicMs() - one.usedMs >= limits.hardAfterMs;
  if (signal.aborted || !isFree || !cut.every(mayEnd)) {
    last.release();
    return null;
  }
  front.shut(roster);
  onBegin();
  const known = new Set(front.sessions.flatMap(({ pid }) => pid ?? []));
  for (const one of stay) one.detach();
  for (const one of cut) front.endCounted(one);
  for (const one of front.joining)
    if (one.isLoggingIn) one.end('57P03', 'the database system is shutting down');
  return { ended: cut.length, cutOff: last.cutOff(known) };
}

/** Whether nobody is just logging in, or waits for the end of a statement. */
function isSettled({ joining, sessions }: Front): boolean {
  const isBusy = (one: Session): boolean => one.place === 'open' && !one.quiet && !one.inTransaction;
  return !joining.some((one) => one.isLoggingIn) && !sessions.some(isBusy);
}

function canDetach(session: Session, roster: Roster): boolean {
  const { found, quiet } = session;
  return quiet && found !== null && !('holds' in found) && session.canReturn(roster);
}
