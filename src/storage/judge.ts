import { type Lsn, formatLsn } from '../core/lsn.ts';

/** One safekeeper's answer within its time limit. */
export type Answer =
  | { readonly kind: 'known'; readonly flush: Lsn; readonly commit: Lsn }
  /** It works, but does not have this timeline. */
  | { readonly kind: 'unknown' }
  /** Connection refused, timeout, malformed address, error response. `lasting`: the same question would fail again,
   *  always or only because it is not encrypted. `late`: it did not answer in time. */
  | {
      readonly kind: 'failed';
      readonly reason: string;
      readonly lasting?: 'always' | 'without-tls';
      readonly late?: true;
    };

export type Verdict = { readonly synced: Lsn } | { readonly unknown: string };

/** What may help when the verdict is unknown: `lasting`, nothing, since a quorum refuses; `without-tls`, a
 *  question that is encrypted; `no-timeline`, only to create the
 *  timeline; `late`, more time; `unreachable`, another try; `differs`, a vote. */
export type Outlook = 'lasting' | 'without-tls' | 'no-timeline' | 'late' | 'unreachable' | 'differs';

type Known = Extract<Answer, { kind: 'known' }>;

export const quorum = (members: number): number => Math.floor(members / 2) + 1;

const isKnown = (answer: Answer): answer is Known => answer.kind === 'known';
const agrees = (known: Known): boolean => known.flush === known.commit;

/** Decides from the answers so far, in any order, whether `members` safekeepers are in sync, and at which LSN.
 *
 *  They are in sync when a quorum has flushed and committed exactly the same LSN and no member has more WAL. A member that
 *  lags, or does not know the timeline yet, gets the WAL from Postgres later. If a member has more WAL than the quorum, or
 *  reports another commit LSN at the end of the WAL, the verdict is unknown. Then `--sync-safekeepers` decides: it holds a
 *  vote, so its result is always right. */
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

/** True when no further answer can change the verdict: all have answered, or the missing answers cannot make it "synced".
 *  A verdict "synced" is never settled early, because a missing member may have more WAL. */
export function settled(answers: readonly Answer[], members: number): boolean {
  const missing = members - answers.length;
  if (missing <= 0) return true;
  const known = answers.filter(isKnown);
  // The missing members may all report an LSN higher than all others, or the highest one so far.
  const most = known.reduce((most, { flush }) => (flush > most ? flush : most), 0n as Lsn);
  const joinable = known.filter((answer) => answer.flush === most);
  const best = joinable.every(agrees) ? joinable.length + missing : missing;
  return best < quorum(members);
}

/** @param answers for which `judge` has no LSN */
export function outlookOf(answers: readonly Answer[], members: number): Outlook {
  const needed = quorum(members);
  const count = (fits: (answer: Answer) => boolean): number => answers.filter(fits).length;
  const known = count(isKnown);
  if (known >= needed) return 'differs';
  const most = members - needed;
  const refused = (how: 'always' | 'without-tls'): number =>
    count((answer) => answer.kind === 'failed' && answer.lasting === how);
  const always = refused('always');
  if (always > most) return 'lasting';
  const ours = always + refused('without-tls');
  if (ours > most) return 'without-tls';
  if (ours + count(({ kind }) => kind === 'unknown') > most) return 'no-timeline';
  const late = count((answer) => answer.kind === 'failed' && answer.late === true);
  return known + late >= needed ? 'late' : 'unreachable';
}

/** Up to where a quorum has the WAL on its disks; null when fewer have answered. */
export function flushedByQuorum(answers: readonly Answer[], members: number): Lsn | null {
  const flushed = answers.filter(isKnown).map(({ flush }) => flush);
  return flushed.toSorted((a, b) => (a < b ? 1 : -1))[quorum(members) - 1] ?? null;
}
