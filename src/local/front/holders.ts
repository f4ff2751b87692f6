import { shownMs } from '../../core/shown.ts';
import { describeSession } from '../../pg/session-name.ts';
import type { Observed, ObservedSession } from './observe.ts';

/** Why a compute does not sleep. */
export const holderKinds = {
  use: 'A client was served less than `--suspend-after` ago.',
  statement: 'A session runs a statement, or waits for more of it.',
  transaction: 'A session is in a transaction.',
  state:
    'A session is idle, but would lose what it has: temporary tables, LISTEN, advisory locks and the like.',
  command: 'A command of compute-local that reaches Postgres or compute_ctl past the front.',
  changing: 'compute_ctl applies a spec.',
  socket: 'A session on the Unix socket, which would end.',
  walsender: 'A WAL sender that is not the storage: a replica or a logical subscriber elsewhere.',
  backup: 'A base backup is taken.',
  subscription: 'A subscription receives changes.',
  slot: 'A replication slot, which the next start would not have.',
  storage:
    'The storage does not have all WAL, or does not receive it: the next start would be without the rest.',
  unlogged: 'An unlogged table with rows, or an unlogged sequence, which the next start would not have.',
  activity: 'compute_ctl has seen activity less than `--suspend-after` ago: `last_active` of `GET /status`.',
  unreadable: 'Whether it is used could not be found out.',
} as const;

export type HolderKind = keyof typeof holderKinds;

/** Something that keeps a compute awake. */
export interface Holder {
  readonly kind: HolderKind;
  /** For people. */
  readonly who: string;
  /** Milliseconds. */
  readonly sinceMs: number;
}

/** A session of the front, as it is now. */
export interface Seen {
  readonly pid: number | null;
  readonly who: string;
  readonly ignored: boolean;
  readonly busy: boolean;
  readonly inTransaction: boolean;
  /** Milliseconds since it was last used. */
  readonly idleMs: number;
  /** What it would lose; null when that is not known. */
  readonly loses: readonly string[] | null;
}

export interface Limits {
  readonly suspendAfterMs: number;
  /** From then on idle sessions with state are ended; Infinity for never. */
  readonly hardAfterMs: number;
}

/** What the front alone can tell. */
export function heldByClients(
  sessions: readonly Seen[],
  last: { readonly who: string; readonly idleMs: number },
  { suspendAfterMs, hardAfterMs }: Limits,
): Holder[] {
  const holders: Holder[] = [];
  for (const { who, ignored, busy, inTransaction, idleMs, loses } of sessions) {
    if (ignored) continue;
    if (inTransaction) holders.push({ kind: 'transaction', who, sinceMs: idleMs });
    else if (busy) holders.push({ kind: 'statement', who, sinceMs: idleMs });
    else if (loses !== null && loses.length > 0 && idleMs < hardAfterMs)
      holders.push({ kind: 'state', who: `${who}: ${loses.join(', ')}`, sinceMs: idleMs });
  }
  if (last.idleMs < suspendAfterMs)
    holders.push({ kind: 'use', who: last.who === '' ? 'its start' : last.who, sinceMs: last.idleMs });
  return holders;
}

/** What Postgres shows beside them.
 *  @param known processes of the front's sessions */
export function heldInPostgres(
  { sessions, backups, subscriptions, slots, stored }: Omit<Observed, 'roster'>,
  known: ReadonlySet<number>,
  isIgnored: (one: ObservedSession) => boolean,
  { hardAfterMs }: Limits,
): Holder[] {
  const holders: Holder[] = [];
  const named = (one: ObservedSession): string =>
    describeSession({ ...one, type: one.walsender ? 'walsender' : 'client backend' });
  for (const one of sessions) {
    if (isIgnored(one)) continue;
    if (one.walsender) holders.push({ kind: 'walsender', who: named(one), sinceMs: one.idleMs });
    else if (known.has(one.pid)) continue;
    else if (one.transactionMs !== null)
      holders.push({ kind: 'transaction', who: named(one), sinceMs: one.transactionMs });
    else if (one.idleMs < hardAfterMs) holders.push({ kind: 'socket', who: named(one), sinceMs: one.idleMs });
  }
  for (const { pid, application } of backups)
    holders.push({
      kind: 'backup',
      who: `process ${pid} (application ${JSON.stringify(application)})`,
      sinceMs: 0,
    });
  if (subscriptions > 0)
    holders.push({ kind: 'subscription', who: `${subscriptions} workers of subscriptions`, sinceMs: 0 });
  if (!stored) holders.push({ kind: 'storage', who: 'WAL that the storage does not have', sinceMs: 0 });
  for (const slot of slots) holders.push({ kind: 'slot', who: JSON.stringify(slot), sinceMs: 0 });
  return holders;
}

/** The statistics of a session may be written this long after its end. */
const statisticsMs = 12_000;

/** Whether compute_ctl has seen somebody whom the front has not.
 *  @param lastActiveMs milliseconds ago; null when there was nobody
 *  @param seenMs milliseconds since the front last served anybody, or asked for its own sake */
export function heldByActivity(
  lastActiveMs: number | null,
  seenMs: number,
  { suspendAfterMs }: Limits,
): Holder[] {
  if (lastActiveMs === null || lastActiveMs >= suspendAfterMs) return [];
  if (lastActiveMs + statisticsMs >= seenMs) return [];
  return [{ kind: 'activity', who: `activity ${shownMs(lastActiveMs)} ago`, sinceMs: lastActiveMs }];
}
