import { sqlState } from '../../pg/client.ts';
import { mayStart } from '../phase.ts';
import type { Called } from './called.ts';
import type { ComputeFacts } from './compute-facts.ts';
import { probeMs } from './probe.ts';
import type { PartState, Problem } from './schema.ts';

/** What a part is doing, and what is wrong with it. */
export interface Judged {
  readonly state: PartState;
  readonly detail: string | null;
  readonly problems: readonly Problem[];
}

const fine = (state: PartState, detail: string | null = null): Judged => ({ state, detail, problems: [] });

export const silence = `no answer for ${probeMs / 1000} s`;
/** While the server starts, stops or recovers. */
const notNow = '57P03';

const startsWhile: Readonly<Record<string, PartState>> = {
  empty: 'starting',
  configuration_pending: 'starting',
  init: 'starting',
  termination_pending_fast: 'stopping',
  termination_pending_immediate: 'stopping',
  terminated: 'stopping',
};

/** Judges one compute by what its processes say. */
export function judgeCompute(facts: ComputeFacts, called: Called, nowMs: number): Judged {
  const { name, up, ctl, postgres, noted } = facts;
  const wrong = (kind: Problem['kind'], state: PartState, detail: string, hint: string): Judged => ({
    state,
    detail,
    problems: [{ kind, about: name, message: detail, hint }],
  });
  const restart = `end its compute-local up${up === null ? '' : ` (pid ${up.pid})`} and start it again; its log: ${facts.dir.log}/compute_ctl.log`;
  if (up === null) {
    if (ctl === null && postgres === null) return fine('stopped');
    const what = ctl === null ? `Postgres (pid ${postgres?.pid})` : `compute_ctl (pid ${ctl.pid})`;
    return wrong(
      'orphaned',
      'failed',
      `${what} runs, but the compute-local up that started it has ended`,
      `end it with: ${called.stop}. Then start again: ${called.start}`,
    );
  }
  for (const [what, one] of Object.entries({ 'compute-local up': up, compute_ctl: ctl, Postgres: postgres }))
    if (one?.suspended === true)
      return wrong(
        'suspended',
        'no_answer',
        `${what} (pid ${one.pid}) is suspended, and does nothing`,
        `let it continue: kill -CONT ${one.pid}`,
      );
  if (noted?.phase === 'stopping') return fine('stopping');
  if (noted?.phase === 'asleep') return fine('asleep');
  const isStarting = noted !== null && mayStart(noted, nowMs);
  if (ctl === null) {
    const often = noted === null || noted.inARow < 2 ? '' : ` ${noted.inARow} times in a row`;
    const ended = `compute_ctl has ended${often}, and is started again`;
    if (isStarting) return fine('starting', noted.inARow === 0 ? null : ended);
    return wrong('failed', 'failed', ended, `the reason is in ${facts.dir.log}/compute_ctl.log`);
  }
  const { http } = facts;
  const who = `compute_ctl (pid ${ctl.pid})`;
  if (http?.kind === 'silent')
    return isStarting
      ? fine('starting', `${who}: ${silence}`)
      : wrong('no_answer', 'no_answer', `${who}: ${silence}`, restart);
  if (http?.kind === 'deaf')
    return isStarting
      ? fine('starting')
      : wrong('failed', 'failed', `${who} does not listen on port ${http.port}`, restart);
  if (http?.kind === 'failed')
    return wrong('failed', 'failed', `${who} does not answer: ${http.reason}`, restart);
  const status = http?.value.status ?? '';
  const error = http?.value.error ?? null;
  const moving = startsWhile[status];
  // Its start may have an earlier failure to tell of, which is tried again.
  if (moving !== undefined) return fine(moving, firstLine(error));
  if (status === 'failed')
    return wrong(
      'failed',
      'failed',
      firstLine(error) ?? 'compute_ctl failed',
      `read the whole reason: curl -H "Authorization: Bearer $(${called.token(name)})" http://127.0.0.1:${facts.state.ports.externalHttp}/status`,
    );
  return judgePostgres(facts, wrong, restart);
}

type Wrong = (kind: Problem['kind'], state: PartState, detail: string, hint: string) => Judged;

function judgePostgres({ postgres, sql }: ComputeFacts, wrong: Wrong, restart: string): Judged {
  if (sql === null || postgres === null) return wrong('failed', 'failed', 'Postgres does not run', restart);
  if (sql.kind === 'answered') return fine('running');
  const who = `Postgres (pid ${postgres.pid})`;
  if (sql.kind === 'silent') return wrong('no_answer', 'no_answer', `${who}: ${silence}`, restart);
  if (sqlState(sql.error) === notNow) return fine('starting', sql.reason);
  return wrong('failed', 'failed', `${who} does not accept the connection of status: ${sql.reason}`, restart);
}

const firstLine = (text: string | null): string | null => text?.split('\n')[0] ?? null;
