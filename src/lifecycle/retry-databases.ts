import { linked } from '../core/abort.ts';
import { explained } from '../core/errors.ts';
import { type Pauses, type Retry, backoffMs, retry } from '../core/retry.ts';
import { CatalogFailure } from '../catalog/result.ts';
import { writeOverride } from '../postgres/files.ts';
import { configureCatalog } from './configure-catalog.ts';
import { type StartContext, pathOf } from './context.ts';
import { dropOverride, reload } from './reconfigure.ts';
import { type Steps, runSteps, step } from './steps.ts';

/** Stands for the failure of the start, which has been recorded. */
const startFailed = new Error('the start left databases undone');

/** What a start had to leave undone because of single databases, and nothing else: users have been at work since then. */
export const again: Steps<StartContext> = [
  step('write-override', (context) => writeOverride(pathOf(context)), dropOverride),
  step('reload', reload),
  step('apply-catalog', applyRemainder),
];

/** For the first try, and up to one each five minutes. */
const defaultPauses: Pauses = { firstMs: 5000, maxMs: 300_000, jitter: [0.8, 1.2] };

function applyRemainder(context: StartContext, signal: AbortSignal): Promise<void> {
  return configureCatalog(context, 'reconfigure', signal, context.state.databases.remainder);
}

/** Tries the databases again in which a start failed, in the background, until they are as the spec asks. */
export class DatabaseRetry {
  readonly #steps: Steps<StartContext>;
  readonly #pauses: Pauses;
  #running: { readonly end: () => void; readonly task: Promise<void> } | null = null;

  constructor(steps: Steps<StartContext> = again, pauses: Pauses = defaultPauses) {
    this.#steps = steps;
    this.#pauses = pauses;
  }

  /** Begins when the latest pass has failed in databases only. The spec of `context` must be the one that it applied. */
  begin(context: StartContext): void {
    if (context.state.databases.remainder === null || this.#running !== null) return;
    const over = linked(context.state.stop.asked);
    const task = this.#untilDone(context, over.signal)
      .catch((error: unknown) => {
        if (!over.signal.aborted) context.log.error(`the retry of databases ended: ${explained(error)}`);
      })
      .finally(() => {
        over.release();
        context.state.databases.scheduled(null);
        this.#running = null;
      });
    this.#running = { end: () => over.abort(), task };
  }

  /** Resolves when no try is running and none will come. Never rejects. */
  async stop(): Promise<void> {
    this.#running?.end();
    await this.#running?.task;
  }

  async #untilDone(context: StartContext, signal: AbortSignal): Promise<void> {
    const { state, log } = context;
    const names = state.databases.list().map(({ name }) => JSON.stringify(name));
    const work = async (signal: AbortSignal, attempt: number): Promise<void> => {
      // The first attempt was the start's.
      if (attempt === 1) throw startFailed;
      state.databases.scheduled(null);
      await runSteps(this.#steps, context, { log, signal, onStep: () => {} });
    };
    const options = {
      what: 'the retry of databases',
      pauseMs: (failures: number) => backoffMs(failures, this.#pauses),
      retryable: () => state.databases.retryable,
      onRetry: (retry: Retry) => report(context, retry),
    };
    try {
      await retry(work, options, signal);
    } catch (error) {
      if (signal.aborted || state.databases.retryable) throw error;
      return describe(context, null);
    }
    log.info(`databases are as the spec asks now: ${names.join(', ')}`);
  }
}

function report(context: StartContext, { error, pauseMs }: Retry): void {
  const at = new Date(Date.now() + pauseMs);
  const { state, log } = context;
  state.databases.scheduled(at);
  if (error !== startFailed && !(error instanceof CatalogFailure))
    log.error(`could not try the databases again, ${nextTry(at)}: ${explained(error)}`);
  describe(context, at);
}

const nextTry = (at: Date): string =>
  `next try in ${Math.max(0, Math.ceil((at.getTime() - Date.now()) / 1000))} s, at ${at.toISOString()}`;

/** One line for each database, so that the log says which, why and what comes next. */
function describe({ state, log }: StartContext, at: Date | null): void {
  for (const { name, error, hint, sqlstate, failures, next_try } of state.databases.list()) {
    const next = next_try === null || at === null ? 'not tried again before the next start' : nextTry(at);
    const advice = hint === null ? '' : ` Hint: ${hint}`;
    log.error(
      { database: name, sqlstate, failures, next_try },
      `database ${JSON.stringify(name)} is not as the spec asks; the compute runs without that, ${next}: ${error}${advice}`,
    );
  }
}
