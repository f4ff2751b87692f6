import type { LoadedConfig } from '../config/load.ts';
import { ComputeError } from '../core/errors.ts';
import { explain } from '../core/failure.ts';
import type { Log } from '../core/log.ts';
import { type Lifecycle, wrongStatus } from '../core/lifecycle.ts';
import type { Lsn } from '../core/lsn.ts';
import type { Status } from '../core/status.ts';
import { readConfigureBody } from '../spec/parse.ts';
import { type ResolvedSpec, resolveSpec } from '../spec/resolve.ts';
import type { ComputeSpec } from '../spec/schema.ts';
import { noDowntime, type DowntimeReport } from '../monitor/report.ts';
import { currentSpan } from '../telemetry/trace.ts';
import type { SpecAcceptance } from './accept-spec.ts';
import type {
  ComputeApi,
  ProbeReport,
  PromoteState,
  StartFigures,
  StatusBody,
  TerminateMode,
} from './api.ts';
import type { DatabaseApi } from '../database/api.ts';
import type { WantedExtension } from '../database/install-extension.ts';
import type { LfcApi } from '../services/file-cache/api.ts';
import type { Operations } from './operations.ts';
import { readiness, startup } from './probes.ts';
import { Promotions } from './promotions.ts';
import { Refresh } from './refresh.ts';
import { findRemoteExtension, isRemote } from '../services/extensions/find.ts';
import type { ExtensionStore } from '../services/extensions/store.ts';
import type { ComputeState } from './state.ts';
import { failedStep } from './steps.ts';

export interface ComputeOptions {
  readonly state: ComputeState;
  readonly log: Log;
  /** False when the spec came from the command line: it cannot be replaced. */
  readonly liveConfigAllowed: boolean;
  readonly specs: SpecAcceptance;
  readonly operations: Pick<Operations, 'reconfigure' | 'promote'>;
  /** Reads the config from the same source as at the start. */
  readonly load: (signal: AbortSignal) => Promise<LoadedConfig>;
  readonly database: DatabaseApi;
  readonly lfc: LfcApi;
  readonly extensions: Pick<ExtensionStore, 'bring' | 'canDownload'>;
  readonly checkWritability: ComputeApi['checkWritability'];
}

const ended: readonly Status[] = ['termination_pending_fast', 'termination_pending_immediate', 'terminated'];

/** Also while a refresh keeps failing; otherwise such a compute could not be stopped by HTTP. */
const stoppable: readonly Status[] = ['empty', 'running', 'failed', 'refresh_configuration_pending'];

/** Requests from outside, checked against the compute's status. The operations do the work. */
export class Compute implements ComputeApi {
  readonly #options: ComputeOptions;
  readonly #state: ComputeState;
  readonly #refresh: Refresh;
  readonly #promotions: Promotions;
  /** True while the first spec is being accepted. */
  #claimed = false;
  readonly database: DatabaseApi;
  readonly lfc: LfcApi;

  constructor(options: ComputeOptions) {
    this.#options = options;
    this.#state = options.state;
    this.database = options.database;
    this.lfc = options.lfc;
    const { operations } = options;
    this.#refresh = new Refresh({ ...options, reconfigure: () => operations.reconfigure() });
    this.#promotions = new Promotions({ ...options, promote: (request) => operations.promote(request) });
  }

  get lifecycle(): Lifecycle {
    return this.#state.lifecycle;
  }

  get readiness(): ProbeReport {
    return readiness(this.#state);
  }

  get startup(): ProbeReport {
    return startup(this.#state);
  }

  get full(): boolean {
    return this.#state.monitor?.full ?? false;
  }

  get writesStopped(): boolean {
    return this.#state.storage?.writesStopped ?? false;
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
    const { log, liveConfigAllowed, specs } = this.#options;
    if (!liveConfigAllowed) {
      throw new ComputeError('not_allowed', 'live configuration is not allowed for this compute node');
    }
    const { value, notes } = readConfigureBody(body);
    const spec = resolveSpec(value.spec);
    const candidate = { spec, config: value.compute_ctl_config };
    const first = this.#state.lifecycle.status === 'empty';
    await specs.accept(candidate, first ? 'first' : 'next', () => this.#claim());
    for (const note of notes) log.warn(note);
    // For the first spec, the status change starts the compute elsewhere; a running compute is reconfigured here.
    if (first) this.#state.lifecycle.tryMove('configuration_pending');
    else void this.#reconfigure(spec);
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
    if (spec.mode.kind !== 'primary')
      throw new ComputeError('spec_invalid', 'a replica can only be promoted with the spec of a primary');
    return this.#promotions.promote(spec, lsn, signal);
  }

  async downloadExtension(name: string, isLibrary: boolean, signal: AbortSignal): Promise<void> {
    const { spec, lifecycle } = this.#state;
    const { extensions } = this.#options;
    if (!extensions.canDownload) {
      throw new ComputeError('not_allowed', 'remote storage is not configured');
    }
    if (spec === null) throw wrongStatus(lifecycle.status);
    const known = spec.spec.remote_extensions;
    if (known === null) {
      throw new ComputeError('conflict', 'information about remote extensions is unavailable');
    }
    await extensions.bring(findRemoteExtension(known, name, isLibrary), signal);
  }

  async installExtension(wanted: WantedExtension, signal: AbortSignal): Promise<void> {
    try {
      await this.database.installExtension(wanted, signal);
    } catch (error) {
      // It may not be here yet.
      if (!(await this.#bringNew(wanted.extension, signal))) throw error;
      await this.database.installExtension(wanted, signal);
    }
  }

  /** False: there is nothing to download, or it was downloaded before. */
  async #bringNew(extension: string, signal: AbortSignal): Promise<boolean> {
    const { extensions } = this.#options;
    const known = this.#state.spec?.spec.remote_extensions ?? null;
    if (known === null || !extensions.canDownload || !isRemote(known, extension)) return false;
    return (await extensions.bring(extension, signal)) > 0;
  }

  /** Changes the status, so that no other spec is accepted meanwhile. @throws ComputeError `wrong_status` */
  #claim(): void {
    const { lifecycle, promoting, postgres } = this.#state;
    const { status } = lifecycle;
    if (promoting) throw new ComputeError('wrong_status', 'invalid compute status: a promotion is running');
    const repairable = status === 'failed' && (postgres?.running ?? false);
    const isFree = status === 'empty' ? !this.#claimed : status === 'running' || repairable;
    if (!isFree) throw wrongStatus(status);
    if (status === 'empty') this.#claimed = true;
    this.#state.askedBy = currentSpan();
    if (status !== 'empty') lifecycle.tryMove('configuration_pending');
  }

  async #reconfigure(spec: ResolvedSpec): Promise<void> {
    const { lifecycle } = this.#state;
    if (!lifecycle.tryMove('configuration')) return;
    const operation = spec.spec.operation_uuid ?? 'unknown';
    try {
      await this.#options.operations.reconfigure();
      this.#options.log.info(`finished reconfiguration of compute node for operation ${operation}`);
      lifecycle.tryMove('running');
    } catch (error) {
      const failure = explain(error, failedStep(error));
      this.#options.log.error(`could not reconfigure the compute node: ${failure.text}`);
      lifecycle.tryMove('failed', failure);
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
