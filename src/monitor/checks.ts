import { elapsedMs, monotonicMs, withDeadline } from '../core/clock.ts';
import { type ConnectOptions, type PgClient, connectPg, destroyPg } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { type ActivityRow, activityQuery } from './activity-query.ts';
import { type FailedPhase, type Failure, classify } from './failure.ts';

export interface CheckLimits {
  /** For connecting and logging in, in milliseconds. */
  readonly connectMs: number;
  /** For each answer. */
  readonly queryMs: number;
}

/** A check that did not succeed. */
export class CheckFailed extends Error {
  readonly failure: Failure;
  readonly phase: FailedPhase['phase'];
  /** How many milliseconds over its limit a check was when it was given up; much of it means that this process stood still. */
  readonly lateMs: number;

  constructor(failed: FailedPhase, lateMs: number) {
    const failure = classify(failed);
    super(failure.message, { cause: failed.error });
    this.failure = failure;
    this.phase = failed.phase;
    this.lateMs = lateMs;
  }
}

/** Timers may fire up to a millisecond early. */
const slackMs = 5;

async function phase<T>(name: FailedPhase['phase'], limitMs: number, work: () => Promise<T>): Promise<T> {
  const startMs = monotonicMs();
  try {
    return await work();
  } catch (error) {
    const lateMs = elapsedMs(startMs) - limitMs;
    throw new CheckFailed({ phase: name, error, timedOut: lateMs >= -slackMs }, lateMs);
  }
}

const connect = (
  target: PgTarget,
  applicationName: string,
  { connectMs, queryMs }: CheckLimits,
  signal: AbortSignal,
): Promise<PgClient> => {
  const options: ConnectOptions = { applicationName, connectMs, queryMs, signal };
  return phase('connect', connectMs, () => connectPg(target, options));
};

/** Connects anew and asks for an answer: what a client does that is not there yet.
 *  @throws CheckFailed */
export async function checkConnecting(
  target: PgTarget,
  limits: CheckLimits,
  signal: AbortSignal,
): Promise<void> {
  const client = await connect(target, 'compute_ctl:monitor_connect', limits, signal);
  try {
    await phase('query', limits.queryMs, () => client.query('SELECT 1'));
  } catch (error) {
    destroyPg(client);
    throw error;
  }
  void hangUp(client, limits.queryMs);
}

/** It has answered; whether it also hangs up is not asked. */
async function hangUp(client: PgClient, limitMs: number): Promise<void> {
  const never = new AbortController().signal;
  await withDeadline('hanging up', limitMs, never, () => client.end()).catch(() => destroyPg(client));
}

/** The kept connection: what a client does that is there already. */
export class ActivityConnection {
  readonly #target: PgTarget;
  readonly #limits: CheckLimits;
  #client: PgClient | null = null;
  /** Why the connection broke while nobody used it. */
  #broken: unknown = null;

  constructor(target: PgTarget, limits: CheckLimits) {
    [this.#target, this.#limits] = [target, limits];
  }

  /** Connects if there is no connection, and looks. After any failure the connection is gone for good.
   *  @throws CheckFailed */
  async look(statistics: boolean, signal: AbortSignal): Promise<ActivityRow> {
    const client = this.#client ?? (await this.#connect(signal));
    try {
      return await phase('query', this.#limits.queryMs, async () => {
        if (this.#broken !== null) throw this.#broken as Error;
        const values = [this.#target.user, statistics];
        const { rows } = await client.query<ActivityRow>({ name: 'activity', text: activityQuery, values });
        return rows[0] as ActivityRow;
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#client !== null) destroyPg(this.#client);
    [this.#client, this.#broken] = [null, null];
  }

  async #connect(signal: AbortSignal): Promise<PgClient> {
    const client = await connect(this.#target, 'compute_ctl:compute_monitor', this.#limits, signal);
    const broke = (error: unknown): void => {
      if (this.#client === client) this.#broken ??= error;
    };
    client.on('error', broke);
    client.on('end', () => broke(new Error('the connection is closed')));
    this.#client = client;
    return client;
  }
}
