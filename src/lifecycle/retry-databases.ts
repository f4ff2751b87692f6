import { linked } from '../core/abort.ts';
import { inline } from '../core/errors.ts';
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
        if (!over.signal.aborted) context.log.error(`the retry of databases ended: ${inline(error)}`);
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
      onRetry: (retry: Retry) => report(context, retry),
    };
    await retry(work, options, signal);
    log.info(`databases are as the spec asks now: ${names.join(', ')}`);
  }
}

/** One line for each database, so that the log says which, why and what comes next. */
function report({ state, log }: StartContext, { error, pauseMs }: Retry): void {
  const at = new Date(Date.now() + pauseMs);
  state.databases.scheduled(at);
  const next = `next try in ${Math.ceil(pauseMs / 1000)} s, at ${at.toISOString()}`;
  if (error !== startFailed && !(error instanceof CatalogFailure))
    log.error({ next_try: at.toISOString() }, `could not try the databases again: ${inline(error)}; ${next}`);
  for (const { name, error: why, hint, sqlstate, failures } of state.databases.list()) {
    const advice = hint === null ? '' : ` Hint: ${hint}`;
    log.error(
      { database: name, sqlstate, failures, next_try: at.toISOString() },
      `database ${JSON.stringify(name)} is not as the spec asks; the compute runs without that, ${next}: ${why}${advice}`,
    );
  }
}
