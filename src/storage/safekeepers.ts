import { parseLibpqUrl } from '../pg/libpq.ts';
import { linked } from '../core/abort.ts';
import { elapsedMs, monotonicMs, withDeadline } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import { parseLsn } from '../core/lsn.ts';
import type { Secret } from '../core/secret.ts';
import { connectPg, destroyPg, loadClient } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { answerLimits } from './limits.ts';
import { type Answer, type Verdict, judge, settled } from './judge.ts';

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

const defaultAnswerMs = 100;

/** Asks all safekeepers at once for the timeline's LSNs, and judges the answers that arrive within the limit. Takes a few
 *  milliseconds if all answer. Rejects only with an abort: failures are part of the verdict.
 *  @returns `checkMs`: the duration in whole milliseconds */
export async function checkSafekeepers(
  context: SafekeeperContext,
  signal: AbortSignal,
): Promise<{ verdict: Verdict; checkMs: number }> {
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
    enough = settled(answers, members);
    if (enough) asking.abort();
  });
  await Promise.all(questions);
  asking.release();
  signal.throwIfAborted();
  return { verdict: judge(answers, members), checkMs: elapsedMs(startMs) };
}

async function ask(entry: string, context: SafekeeperContext, signal: AbortSignal): Promise<Answer> {
  const { answerMs = defaultAnswerMs } = context;
  try {
    const target = safekeeperTarget(entry, context);
    const status = (inTime: AbortSignal): Promise<Answer> => timelineStatus(target, answerMs, inTime);
    return await withDeadline('the answer', answerMs, signal, status);
  } catch (error) {
    return { kind: 'failed', reason: `safekeeper ${entry}: ${explained(error)}` };
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
function safekeeperTarget(entry: string, context: SafekeeperContext): PgTarget {
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
