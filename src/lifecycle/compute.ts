import type { LoadedConfig } from '../config/load.ts';
import { ComputeError, multiline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Lifecycle, wrongStatus } from '../core/lifecycle.ts';
import type { Lsn } from '../core/lsn.ts';
import type { Status } from '../core/status.ts';
import { readConfigureBody } from '../spec/parse.ts';
import { type ResolvedSpec, resolveSpec } from '../spec/resolve.ts';
import type { ComputeCtlConfig, ComputeSpec } from '../spec/schema.ts';
import { noDowntime, type DowntimeReport } from '../monitor/report.ts';
import { currentSpan } from '../telemetry/trace.ts';
import type { ComputeApi, PromoteState, StartFigures, StatusBody, TerminateMode } from './api.ts';
import type { DatabaseApi } from '../database/api.ts';
import type { LfcApi } from '../services/file-cache.ts';
import { type PromotionsOptions, Promotions } from './promotions.ts';
import { Refresh } from './refresh.ts';
import { findRemoteExtension } from '../database/remote-extension.ts';
import { mustBeSameCompute } from './same-spec.ts';
import type { ComputeState } from './state.ts';

export interface ComputeOptions {
  readonly state: ComputeState;
  readonly log: Log;
  /** False when the spec stood on the command line: it stays what it is. */
  readonly liveConfigAllowed: boolean;
  /** Brings the stored spec into force on the running Postgres. */
  readonly reconfigure: (spec: ResolvedSpec) => Promise<void>;
  /** Makes a primary of the running replica. */
  readonly promote: PromotionsOptions['promote'];
  /** Further checks of a spec before it is taken, beyond what resolving it finds. */
  readonly validate: (spec: ResolvedSpec) => void;
  /** Hears of the config that came with an accepted spec: keys are rotated this way. */
  readonly onConfig: (config: ComputeCtlConfig) => void;
  /** Reads the config from where it was read at the start. */
  readonly load: (signal: AbortSignal) => Promise<LoadedConfig>;
  readonly database: DatabaseApi;
  readonly lfc: LfcApi;
  /** Where extensions are downloaded from; null: nowhere. */
  readonly extensionGateway: string | null;
  readonly checkWritability: ComputeApi['checkWritability'];
}

const ended: readonly Status[] = ['termination_pending_fast', 'termination_pending_immediate', 'terminated'];

/** Also while a refresh keeps failing, which would be a dead end otherwise. */
const stoppable: readonly Status[] = ['empty', 'running', 'failed', 'refresh_configuration_pending'];

/** What the outside may ask of the compute, in terms of its status. The stories do the work. */
export class Compute implements ComputeApi {
  readonly #options: ComputeOptions;
  readonly #state: ComputeState;
  readonly #refresh: Refresh;
  readonly #promotions: Promotions;
  readonly database: DatabaseApi;
  readonly lfc: LfcApi;

  constructor(options: ComputeOptions) {
    this.#options = options;
    this.#state = options.state;
    this.database = options.database;
    this.lfc = options.lfc;
    const apply = (spec: ResolvedSpec): Promise<void> => {
      options.validate(spec);
      return options.reconfigure(spec);
    };
    this.#refresh = new Refresh({ ...options, apply });
    this.#promotions = new Promotions(options);
  }

  get lifecycle(): Lifecycle {
    return this.#state.lifecycle;
  }

  get ready(): boolean {
    return this.#state.ready;
  }

  status(): StatusBody {
    return this.#state.status();
  }

  figures(): Readonly<StartFigures> {
    return this.#state.figures;
  }

  downtime(): DowntimeReport {
    return this.#state.monitor?.downtimeReport() ?? noDowntime;
  }

  checkWritability(signal: AbortSignal): Promise<true> {
    return this.#options.checkWritability(signal);
  }

  async configure(body: unknown, signal: AbortSignal): Promise<StatusBody> {
    const { log, liveConfigAllowed, validate, onConfig } = this.#options;
    if (!liveConfigAllowed) {
      throw new ComputeError('not_allowed', 'live configuration is not allowed for this compute node');
    }
    const { value, notes } = readConfigureBody(body);
    const spec = resolveSpec(value.spec);
    validate(spec);
    this.#take(spec);
    for (const note of notes) log.warn(note);
    onConfig(value.compute_ctl_config);
    return this.#configured(signal);
  }

  async terminate(
    mode: TerminateMode,
    signal: AbortSignal,
  ): Promise<{ lsn: string | null; already: boolean }> {
    const { lifecycle, stop } = this.#state;
    if (lifecycle.status === 'terminated') return { lsn: this.#state.flushLsn, already: true };
    if (!stoppable.includes(lifecycle.status)) throw wrongStatus(lifecycle.status);
    lifecycle.tryMove(mode === 'fast' ? 'termination_pending_fast' : 'termination_pending_immediate');
    stop.byHttp(mode);
    await lifecycle.reached(['terminated'], signal);
    return { lsn: this.#state.flushLsn, already: false };
  }

  refresh(): void {
    this.#refresh.ask();
  }

  async promote(next: ComputeSpec, lsn: Lsn, signal: AbortSignal): Promise<PromoteState> {
    const spec = resolveSpec(next);
    this.#options.validate(spec);
    if (spec.mode.kind !== 'primary')
      throw new ComputeError('spec_invalid', 'a replica can only be promoted with the spec of a primary');
    return this.#promotions.promote(spec, lsn, signal);
  }

  async downloadExtension(name: string, isLibrary: boolean, _signal: AbortSignal): Promise<void> {
    const { spec, lifecycle } = this.#state;
    if (this.#options.extensionGateway === null) {
      throw new ComputeError('not_allowed', 'remote storage is not configured');
    }
    if (spec === null) throw wrongStatus(lifecycle.status);
    const known = spec.spec.remote_extensions;
    if (known === null) {
      throw new ComputeError('conflict', 'information about remote extensions is unavailable');
    }
    const extension = findRemoteExtension(known, name, isLibrary);
    throw new ComputeError('not_built', `downloading extension ${extension} is not built yet`);
  }

  /** Stores a spec and sets the work on it going: the first start, or a reconfiguration. */
  #take(spec: ResolvedSpec): void {
    const { lifecycle } = this.#state;
    const { status } = lifecycle;
    if (this.#state.promoting)
      throw new ComputeError('wrong_status', 'invalid compute status: a promotion is under way');
    const mendable = status === 'failed' && (this.#state.postgres?.running ?? false);
    if (status !== 'empty' && status !== 'running' && !mendable) throw wrongStatus(status);
    if (status !== 'empty') mustBeSameCompute(this.#state.spec, spec);
    this.#state.spec = spec;
    this.#state.askedBy = currentSpan();
    lifecycle.tryMove('configuration_pending');
    // Whoever waits for the first spec hears of the status; a running compute is worked on here.
    if (status !== 'empty') void this.#reconfigure(spec);
  }

  async #reconfigure(spec: ResolvedSpec): Promise<void> {
    const { lifecycle } = this.#state;
    if (!lifecycle.tryMove('configuration')) return;
    const operation = spec.spec.operation_uuid ?? 'unknown';
    try {
      await this.#options.reconfigure(spec);
      this.#options.log.info(`finished reconfiguration of compute node for operation ${operation}`);
      lifecycle.tryMove('running');
    } catch (error) {
      this.#options.log.error(`could not reconfigure the compute node: ${multiline(error)}`);
      lifecycle.tryMove('failed', multiline(error));
    }
  }

  async #configured(signal: AbortSignal): Promise<StatusBody> {
    const { lifecycle } = this.#state;
    const status = await lifecycle.reached(['running', 'failed', ...ended], signal);
    if (status === 'running') return this.status();
    const reason =
      status === 'failed' ? (lifecycle.error ?? 'unknown error') : 'the compute is shutting down';
    const code = status === 'failed' ? 'internal' : 'terminated';
    throw new ComputeError(code, `compute configuration failed: ${JSON.stringify(reason)}`);
  }
}
