import { parseLibpqUrl } from '../pg/libpq.ts';
import { linked } from '../core/abort.ts';
import { elapsedMs, monotonicMs, withDeadline } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import type { Secret } from '../core/secret.ts';
import { connectPg, destroyPg, loadClient } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { answerLimits } from './limits.ts';
import {
  type Answer,
  type Outlook,
  type Verdict,
  flushedByQuorum,
  judge,
  outlookOf,
  settled,
} from './judge.ts';
import { howLong } from './lasting.ts';

export interface SafekeeperContext {
  /** `host`, `host:port` or `host:port?key=value` each. */
  readonly safekeepers: readonly string[];
  readonly tenantId: string;
  readonly timelineId: string;
  /** Sent when a safekeeper asks for it. */
  readonly token: Secret | null;
  /** Milliseconds for each safekeeper, for name resolution, connect, authentication and answer together. */
  readonly answerMs?: number;
}

export const defaultAnswerMs = 100;

export interface Check {
  readonly verdict: Verdict;
  /** Where the verdict is unknown. */
  readonly outlook: Outlook;
  /** Up to where a quorum has the WAL; null when fewer have answered. Too low where not everybody was waited for. */
  readonly flushed: Lsn | null;
  /** The duration in whole milliseconds. */
  readonly checkMs: number;
}

/** Asks all safekeepers at once for the timeline's LSNs, and judges the answers that arrive within the limit. Takes a few
 *  milliseconds if all answer. Rejects only with an abort: failures are part of the verdict.
 *  @param waitForAll also when the verdict is unknown whatever the others answer */
export async function checkSafekeepers(
  context: SafekeeperContext,
  signal: AbortSignal,
  waitForAll = false,
): Promise<Check> {
  // Loading the driver for the first time must not use up the safekeepers' time.
  await loadClient();
  const startMs = monotonicMs();
  const members = context.safekeepers.length;
  const answers: Answer[] = [];
  const asking = linked(signal);
  let enough = false;
  const questions = context.safekeepers.map(async (entry) => {
    const answer = await ask(entry, context, asking.signal);
    if (enough) return;
    answers.push(answer);
    enough = !waitForAll && settled(answers, members);
    if (enough) asking.abort();
  });
  await Promise.all(questions);
  asking.release();
  signal.throwIfAborted();
  return {
    verdict: judge(answers, members),
    outlook: outlookOf(answers, members),
    flushed: flushedByQuorum(answers, members),
    checkMs: elapsedMs(startMs),
  };
}

async function ask(entry: string, context: SafekeeperContext, signal: AbortSignal): Promise<Answer> {
  const { answerMs = defaultAnswerMs } = context;
  try {
    const target = safekeeperTarget(entry, context);
    const status = (inTime: AbortSignal): Promise<Answer> => timelineStatus(target, answerMs, inTime);
    return await withDeadline('the answer', answerMs, signal, status);
  } catch (error) {
    const reason = `safekeeper ${entry}: ${explained(error)}`;
    const late = error instanceof ComputeError && error.code === 'deadline';
    const lasting = howLong(error);
    return { kind: 'failed', reason, ...(lasting !== null && { lasting }), ...(late && { late }) };
  }
}

async function timelineStatus(target: PgTarget, answerMs: number, signal: AbortSignal): Promise<Answer> {
  const options = {
    applicationName: 'compute_ctl',
    connectMs: answerMs,
    queryMs: answerMs,
    limits: answerLimits,
    signal,
  };
  const client = await connectPg(target, options);
  try {
    const { rows } = await client.query<Record<string, unknown>>('TIMELINE_STATUS');
    const [row] = rows;
    if (row === undefined) return { kind: 'unknown' };
    return { kind: 'known', flush: column(row, 'flush_lsn'), commit: column(row, 'commit_lsn') };
  } finally {
    // Without Terminate: a safekeeper that is slow to close must not delay the start.
    destroyPg(client);
  }
}

function column(row: Record<string, unknown>, name: string): NonNullable<ReturnType<typeof parseLsn>> {
  const text = row[name];
  const lsn = typeof text === 'string' ? parseLsn(text) : null;
  if (lsn === null) throw new Error(`${name} is not an LSN: ${JSON.stringify(text ?? null).slice(0, 100)}`);
  return lsn;
}

/** @throws ComputeError `connstr` */
export function safekeeperTarget(
  entry: string,
  context: Pick<SafekeeperContext, 'token' | 'tenantId' | 'timelineId'>,
): PgTarget {
  return {
    ...parseLibpqUrl(
      `postgresql://no_user@${entry}`,
      'address in safekeeper_connstrings of the spec',
      'host:port',
    ),
    user: 'no_user',
    password: context.token,
    options: `-c timeline_id=${context.timelineId} tenant_id=${context.tenantId}`,
  };
}
