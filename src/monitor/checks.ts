import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { type ConnectOptions, type PgClient, connectPg, destroyPg, hangUpPg } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { type ActivityRow, activityQuery } from './activity-query.ts';
import type { CommitsRow } from './commits.ts';
import { type ProbePhase, probe } from './probe.ts';
import { type FailedPhase, type Failure, classify } from './failure.ts';

export interface CheckLimits {
  /** Limit for connecting and logging in, in milliseconds. */
  readonly connectMs: number;
  /** Limit for each answer, in milliseconds. */
  readonly queryMs: number;
}

/** A check that failed. */
export class CheckFailed extends Error {
  readonly failure: Failure;
  readonly phase: ProbePhase;
  /** By how many milliseconds the check had exceeded its limit when it ended; a large value means that this process was
   *  stopped. */
  readonly lateMs: number;

  constructor(failed: FailedPhase, lateMs: number) {
    const failure = classify(failed);
    super(failure.message, { cause: failed.error });
    this.failure = failure;
    this.phase = failed.phase;
    this.lateMs = lateMs;
  }
}

const freshName = 'compute_ctl:monitor_connect';

/** Timers may fire up to a millisecond early. */
const slackMs = 5;

async function phase<T>(name: ProbePhase, limitMs: number, work: () => Promise<T>): Promise<T> {
  const startMs = monotonicMs();
  try {
    return await work();
  } catch (error) {
    throw checkFailed(name, error, elapsedMs(startMs) - limitMs);
  }
}

const checkFailed = (phase: ProbePhase, error: unknown, lateMs: number): CheckFailed =>
  new CheckFailed({ phase, error, timedOut: lateMs >= -slackMs }, lateMs);

const connect = (
  target: PgTarget,
  applicationName: string,
  { connectMs, queryMs }: CheckLimits,
  signal: AbortSignal,
): Promise<PgClient> => {
  const options: ConnectOptions = { applicationName, connectMs, queryMs, signal };
  return phase('connect', connectMs, () => connectPg(target, options));
};

/** Opens a new connection and sends a query, as a new client does. */
export class FreshConnection {
  readonly #target: PgTarget;
  readonly #limits: CheckLimits;
  #needsPassword = false;

  constructor(target: PgTarget, limits: CheckLimits) {
    [this.#target, this.#limits] = [target, limits];
  }

  /** @throws CheckFailed */
  async try(signal: AbortSignal): Promise<void> {
    if (!this.#needsPassword && (await this.#probe(signal)) === 'answered') return;
    this.#needsPassword = true;
    const client = await connect(this.#target, freshName, this.#limits, signal);
    try {
      await phase('query', this.#limits.queryMs, () => client.query('SELECT 1'));
      hangUpPg(client);
    } catch (error) {
      destroyPg(client);
      throw error;
    }
  }

  async #probe(signal: AbortSignal): Promise<'answered' | 'password'> {
    const limitsMs = { connect: this.#limits.connectMs, query: this.#limits.queryMs };
    let [now, startMs]: [ProbePhase, number] = ['connect', monotonicMs()];
    const onPhase = (next: ProbePhase): void => void ([now, startMs] = [next, monotonicMs()]);
    try {
      return await probe(this.#target, { applicationName: freshName, limitsMs, onPhase, signal });
    } catch (error) {
      throw checkFailed(now, error, elapsedMs(startMs) - limitsMs[now]);
    }
  }
}

/** Sends a query on a kept connection, as a connected client does. */
export class ActivityConnection {
  readonly #target: PgTarget;
  readonly #limits: CheckLimits;
  #client: PgClient | null = null;
  /** Why the connection was lost while it was idle. */
  #broken: unknown = null;

  constructor(target: PgTarget, limits: CheckLimits) {
    [this.#target, this.#limits] = [target, limits];
  }

  /** Connects if there is no connection, and reads the activity. Any failure closes the connection.
   *  @throws CheckFailed */
  async look(statistics: boolean, signal: AbortSignal): Promise<ActivityRow & CommitsRow> {
    const client = this.#client ?? (await this.#connect(signal));
    try {
      return await phase('query', this.#limits.queryMs, async () => {
        if (this.#broken !== null) throw this.#broken as Error;
        const values = [this.#target.user, statistics];
        const { rows } = await client.query<ActivityRow & CommitsRow>({
          name: 'activity',
          text: activityQuery,
          values,
        });
        return rows[0] as ActivityRow & CommitsRow;
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
