import { raceAbort } from '../core/clock.ts';
import { explained, inline } from '../core/errors.ts';
import { wrongStatus } from '../core/lifecycle.ts';
import type { Log } from '../core/log.ts';
import type { Lsn } from '../core/lsn.ts';
import type { Status } from '../core/status.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { SpecAcceptance } from './accept-spec.ts';
import type { PromoteState } from './api.ts';
import { promotionFigures } from './promote.ts';
import type { ComputeState } from './state.ts';

export interface PromotionRequest {
  /** The compute's mode now, or before an attempt that failed late. */
  readonly replica: ResolvedSpec;
  readonly next: ResolvedSpec;
  /** The end of the former primary's WAL. */
  readonly wanted: Lsn;
  /** Makes `next` the current spec. */
  readonly acceptSpec: () => Promise<void>;
}

export interface PromotionsOptions {
  readonly state: ComputeState;
  readonly log: Log;
  readonly specs: SpecAcceptance;
  /** Runs the steps of promote.ts. @returns milliseconds by step name */
  readonly promote: (request: PromotionRequest) => Promise<ReadonlyMap<string, number>>;
}

/** Statuses that end without a further request, in `running` or another status. */
const passing: readonly Status[] = [
  'init',
  'configuration_pending',
  'configuration',
  'refresh_configuration_pending',
  'refresh_configuration',
];

const settled: readonly Status[] = ['running', 'failed'];

/** Runs one promotion at a time, and none during a reconfiguration. Requests meanwhile, or after a success, get the same
 *  answer; after a failure, the next request tries again. */
export class Promotions {
  readonly #options: PromotionsOptions;
  /** The compute's mode before the latest attempt. */
  #replica: ResolvedSpec | null = null;
  /** The primary's spec that the latest attempt made current. */
  #taken: ResolvedSpec | null = null;
  #result: Promise<PromoteState> | null = null;

  constructor(options: PromotionsOptions) {
    this.#options = options;
  }

  /** @param signal the client disconnected: stop waiting; the promotion continues
   *  @throws ComputeError `wrong_status`, `spec_invalid` */
  async promote(next: ResolvedSpec, wanted: Lsn, signal: AbortSignal): Promise<PromoteState> {
    if (this.#result === null) {
      const { spec, lifecycle } = this.#options.state;
      if (spec === null) throw wrongStatus(lifecycle.status);
      const { kind } = this.#replicaSpec(spec).mode;
      if (kind !== 'replica') return { status: 'failed', error: `compute mode "${kind}" is not replica` };
      const { specs } = this.#options;
      specs.check(next, 'promotion');
      const acceptSpec = (): Promise<void> => {
        this.#taken = next;
        return specs.accept({ spec: next, config: null }, 'promotion');
      };
      this.#result = this.#run({ next, wanted, acceptSpec });
    }
    return raceAbort(this.#result, signal);
  }

  /** The replica's spec. It is the current spec, except after a promotion that failed late. */
  #replicaSpec(inForce: ResolvedSpec): ResolvedSpec {
    return inForce === this.#taken ? (this.#replica ?? inForce) : inForce;
  }

  async #run(request: Omit<PromotionRequest, 'replica'>): Promise<PromoteState> {
    const { state, log, promote } = this.#options;
    try {
      const { lifecycle, stop } = state;
      if (passing.includes(lifecycle.status)) await lifecycle.reached(settled, stop.asked);
      // The operation that ran before may have brought another spec.
      const { spec } = state;
      if (lifecycle.status !== 'running' || spec === null) throw wrongStatus(lifecycle.status);
      state.promoting = true;
      const replica = this.#replicaSpec(spec);
      this.#replica = replica;
      const took = await promote({ ...request, replica });
      log.info('the replica has been promoted');
      return { status: 'completed', ...promotionFigures(took) };
    } catch (error) {
      this.#result = null;
      log.error(`could not promote the replica: ${explained(error)}`);
      return { status: 'failed', error: inline(error) };
    } finally {
      state.promoting = false;
    }
  }
}
