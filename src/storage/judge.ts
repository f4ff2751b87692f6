import { type Lsn, formatLsn } from '../core/lsn.ts';

/** What one safekeeper said within its time. */
export type Answer =
  | { readonly kind: 'known'; readonly flush: Lsn; readonly commit: Lsn }
  /** It works, but has no such timeline. */
  | { readonly kind: 'unknown' }
  /** Refused, timed out, malformed address, error response. */
  | { readonly kind: 'failed'; readonly reason: string };

export type Verdict = { readonly synced: Lsn } | { readonly unknown: string };

type Known = Extract<Answer, { kind: 'known' }>;

export const quorum = (members: number): number => Math.floor(members / 2) + 1;

const isKnown = (answer: Answer): answer is Known => answer.kind === 'known';
const agrees = (known: Known): boolean => known.flush === known.commit;

/** Decides from all answers at hand, in any order, whether `members` safekeepers are in sync, and where.
 *
 *  They are when a quorum has flushed and committed exactly the same LSN and nobody has more: a member that lags or
 *  does not know the timeline yet is brought up by Postgres. More WAL anywhere, or a member with all of it that
 *  believes in another commit, needs a vote: don't know. Then the sync by Postgres decides, which is always right. */
export function judge(answers: readonly Answer[], members: number): Verdict {
  const needed = quorum(members);
  const known = answers.filter(isKnown);
  if (known.length < needed) {
    const unknown = answers.filter(({ kind }) => kind === 'unknown').length;
    const failures = answers.filter((answer) => answer.kind === 'failed').map(({ reason }) => reason);
    const why = failures.length === 0 ? '' : ` (${failures.join('; ')})`;
    const who = `${known.length} of ${members} safekeepers know the timeline, ${unknown} do not, ${needed} are needed`;
    return { unknown: who + why };
  }
  const end = known.reduce((most, { flush }) => (flush > most ? flush : most), 0n as Lsn);
  const dissent = known.find(({ flush, commit }) => commit > end || (flush === end && commit !== end));
  if (dissent !== undefined) {
    return { unknown: `commit ${formatLsn(dissent.commit)} differs from flush ${formatLsn(end)}` };
  }
  const agreeing = known.filter(({ flush }) => flush === end).length;
  if (agreeing >= needed) return { synced: end };
  const flushed = known.map(({ flush }) => formatLsn(flush)).join(', ');
  return { unknown: `flush differs: ${flushed}; ${agreeing} of ${members} have ${formatLsn(end)}` };
}

/** True when no further answer can change the verdict: all are in, or no answers of the missing ones can make it
 *  "synced". A verdict "synced" is never settled early, because one more member may have more WAL. */
export function settled(answers: readonly Answer[], members: number): boolean {
  const missing = members - answers.length;
  if (missing <= 0) return true;
  const known = answers.filter(isKnown);
  // The missing ones may all agree on an LSN beyond everything seen, or join the furthest one seen.
  const most = known.reduce((most, { flush }) => (flush > most ? flush : most), 0n as Lsn);
  const joinable = known.filter((answer) => answer.flush === most);
  const best = joinable.every(agrees) ? joinable.length + missing : missing;
  return best < quorum(members);
}
