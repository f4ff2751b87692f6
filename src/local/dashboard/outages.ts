import type { Asleep, Downtime, StatusChange } from './model.ts';

type Incident = Downtime['incidents'][number];

const ends: Readonly<Record<string, string>> = {
  failed: 'the compute failed',
  termination_pending_fast: 'the compute was stopped',
  termination_pending_immediate: 'the compute was stopped',
  terminated: 'the compute was stopped',
};

/** The times between the end of a compute and its next start, of which compute_ctl cannot tell: it is started anew. Pure.
 *  @param changes the newest first
 *  @param nowMs milliseconds since 1970
 *  @param sleeps it was stopped since nobody used it: that is no outage
 *  @returns the newest first */
export function outagesIn(
  changes: readonly StatusChange[],
  nowMs: number,
  sleeps: readonly Asleep[] = [],
): Incident[] {
  const found: Incident[] = [];
  let open: { readonly from: string; readonly why: string } | null = null;
  const add = (from: string, to: string | null, why: string): void => {
    const ms = Math.max(0, (to === null ? nowMs : Date.parse(to)) - Date.parse(from));
    found.unshift({ from, to, ms, why });
  };
  for (const { at, from, to } of changes.toReversed()) {
    const why = ends[to];
    if (from === 'running' && why !== undefined) open = { from: at, why };
    if (to !== 'running' || open === null) continue;
    add(open.from, at, open.why);
    open = null;
  }
  if (open !== null) add(open.from, null, open.why);
  return found.filter(({ from }) => !sleeps.some((one) => isIn(from, one)));
}

/** compute_ctl is stopped a moment after the sleep began. */
const isIn = (at: string, { from, to }: Asleep): boolean => at >= from && (to === null || at <= to);
