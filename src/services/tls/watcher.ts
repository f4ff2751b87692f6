import { monotonicMs } from '../../core/clock.ts';
import { ComputeError, explained } from '../../core/errors.ts';
import { systemCode } from '../../core/system-hints.ts';
import { type TlsFiles, type TlsPair, isSamePair } from '../../postgres/tls.ts';
import { bringPair, placedPair, switchLateTlsOn } from '../../postgres/tls-placed.ts';
import { PathWatch } from '../../process/watch-paths.ts';
import type { Loop } from '../forms.ts';
import type { ServiceDeps } from '../service.ts';
import { type Judgement, caveatOf, describe, judgeHeld, judgeValidity, worse } from './judge.ts';
import { untilServed } from './served.ts';

/** Milliseconds. */
export interface TlsTimes {
  /** Between two looks at the files without a notification. */
  readonly lookMs: number;
  /** The same while Postgres has no pair. */
  readonly withoutPairMs: number;
  /** The same while the files are being written. */
  readonly unsettledMs: number;
  /** How long files that cannot be used count as being written. */
  readonly graceMs: number;
  /** Limit for Postgres to show a new certificate to new connections. */
  readonly servedMs: number;
}

type Deps = Pick<
  ServiceDeps,
  'failpoints' | 'log' | 'metrics' | 'pgdata' | 'reloadPostgres' | 'settings' | 'tlsReaders'
>;

/** Follows the TLS files of the config: brings each new pair to Postgres and tells the others who read it. */
export class TlsWatcher {
  readonly #files: TlsFiles;
  readonly #deps: Deps;
  readonly #loop: Loop;
  readonly #times: TlsTimes;
  #pgdata = '';
  /** What Postgres has, and everybody was told of. */
  #inUse: TlsPair | null = null;
  #brokenSinceMs: number | null = null;
  #said: string | null = null;
  #saidBlind = false;

  constructor(files: TlsFiles, deps: Deps, loop: Loop, times: TlsTimes) {
    this.#files = files;
    this.#deps = deps;
    this.#loop = loop;
    this.#times = times;
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { pgdata, tlsReaders } = this.#deps;
    const path = pgdata()?.path;
    if (path === undefined)
      throw new ComputeError('internal', 'there is no data directory for the TLS files');
    this.#pgdata = path;
    this.#inUse = await placedPair(path);
    if (this.#inUse !== null) this.#present('TLS is on', this.#inUse);
    const leave = tlsReaders.add('Postgres', (limited) => this.#reloadPostgres(limited), this.#inUse);
    const watch = new PathWatch([this.#files.keyPath, this.#files.certPath], (error) => this.#blind(error));
    try {
      while (!signal.aborted) {
        watch.refresh();
        await watch.changed(await this.#look(signal), signal);
      }
    } finally {
      watch.close();
      leave();
    }
  }

  /** @returns milliseconds until the next look, unless something changes before */
  async #look(signal: AbortSignal): Promise<number> {
    const { lookMs, withoutPairMs, unsettledMs, graceMs } = this.#times;
    try {
      await this.#deps.failpoints.pass('compute-tls-pair', signal);
      const { inUse, inFiles } = await bringPair(this.#files, this.#pgdata);
      const switchedOn = switchLateTlsOn(this.#pgdata);
      this.#brokenSinceMs = null;
      const failures = await this.#tell(inUse, switchedOn, signal);
      const held = inFiles === inUse ? null : judgeHeld(inFiles, inUse, Date.now());
      this.#show(worse(failed(failures, 'degraded'), held));
      return lookMs;
    } catch (error) {
      signal.throwIfAborted();
      const nowMs = monotonicMs();
      this.#brokenSinceMs ??= nowMs;
      const isBeingWritten = nowMs - this.#brokenSinceMs < graceMs;
      if (isBeingWritten && this.#inUse !== null) return unsettledMs;
      const stays =
        this.#inUse === null
          ? 'Postgres runs without TLS until both files are in order, which is noticed by itself'
          : `the earlier one stays in use (${describe(this.#inUse)})`;
      this.#show(failed([`${explained(error)}: ${stays}`], this.#inUse === null ? 'failed' : 'degraded'));
      return this.#inUse === null ? withoutPairMs : lookMs;
    }
  }

  /** Tells everybody of a new pair; of the same one, those that failed, or have read the files before it was there. */
  async #tell(pair: TlsPair, switchedOn: boolean, signal: AbortSignal): Promise<string[]> {
    const { tlsReaders, metrics } = this.#deps;
    const isNew = switchedOn || !isSamePair(pair, this.#inUse);
    if (!isNew && !tlsReaders.areBehind(pair)) return [];
    this.#inUse = pair;
    const failures = await tlsReaders.tell(pair, isNew, signal);
    if (failures.length === 0) {
      metrics.inc('compute_tls_renewals_total', { outcome: 'applied' });
      this.#present('a new TLS key and certificate are in use', pair);
    }
    return failures;
  }

  #present(what: string, pair: TlsPair): void {
    const { log } = this.#deps;
    log.info(`${what}: ${describe(pair)}`);
    const caveat = caveatOf(pair);
    if (caveat !== null) log.warn(caveat);
  }

  async #reloadPostgres(signal: AbortSignal): Promise<void> {
    const { reloadPostgres, settings } = this.#deps;
    reloadPostgres();
    if (this.#inUse !== null)
      await untilServed(settings.target, this.#inUse.fingerprint, this.#times.servedMs, signal);
  }

  /** Health, metrics, and the log: a line at each change of what is wrong. */
  #show(trouble: Judgement | null): void {
    const { log, metrics } = this.#deps;
    const inUse = this.#inUse;
    const judged = worse(trouble, inUse === null ? null : judgeValidity(inUse, Date.now()));
    const detail = inUse === null ? 'Postgres runs without TLS' : describe(inUse);
    this.#loop.report(judged?.state ?? 'ok', judged?.error ?? null, detail);
    const said = judged?.error ?? null;
    if (said === this.#said) return;
    this.#said = said;
    if (said === null) log.info(`TLS is in order again: ${detail}`);
    else log.warn(`TLS: ${said}`);
    if (trouble !== null) metrics.inc('compute_tls_renewals_total', { outcome: 'failed' });
  }

  #blind(error: unknown): void {
    if (this.#saidBlind) return;
    this.#saidBlind = true;
    // The system's own words for these are about files and disks.
    const isLimit = ['ENOSPC', 'EMFILE'].includes(systemCode(error) ?? '');
    const why = isLimit
      ? 'the system allows no more watches (HINT: raise fs.inotify.max_user_watches and fs.inotify.max_user_instances)'
      : explained(error);
    const everyS = this.#times.lookMs / 1000;
    this.#deps.log.warn(`cannot watch the TLS files, so they are looked at every ${everyS} s: ${why}`);
  }
}

const failed = (texts: readonly string[], state: 'degraded' | 'failed'): Judgement | null =>
  texts.length === 0 ? null : { state, error: texts.join('; ') };
