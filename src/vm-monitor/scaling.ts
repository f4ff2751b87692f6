import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import { type Cgroup, type MemoryWatch, totalMemory } from './cgroup.ts';
import { fileCacheBytes, inMib, judgeDownscale, thresholdBytes, usableBytes } from './decisions.ts';
import type { FileCache } from './file-cache.ts';
import type { AgentMessage, MonitorMessage } from './protocol.ts';

export interface ScalingOptions {
  readonly cgroup: Cgroup;
  /** Called at each change of size; null: the file cache must not be resized. */
  readonly fileCache: () => FileCache | null;
  readonly metrics: Metrics;
  readonly log: Log;
}

export type ScalingMessage = Extract<AgentMessage, { memBytes: number }>;

/** Adjusts the sizes inside the VM to its memory: the file cache, and the threshold for requesting more memory. */
export class Scaling {
  readonly #options: ScalingOptions;
  readonly #watch: MemoryWatch;
  #threshold = Infinity;

  constructor(options: ScalingOptions, watch: MemoryWatch) {
    this.#options = options;
    this.#watch = watch;
  }

  /** The use, in bytes, at which more memory is requested. */
  get thresholdBytes(): number {
    return this.#threshold;
  }

  /** Sets the sizes for the guest's memory at the start of a connection.
   *  @throws ComputeError */
  async begin(signal: AbortSignal): Promise<void> {
    const { cgroup, log } = this.#options;
    const total = await totalMemory(cgroup);
    const cache = await this.#resizeFileCache(total, signal);
    this.#setThreshold(thresholdBytes(total));
    log.info(`agent connected; the memory is ${inMib(total)}, ${this.#sizes(cache)}`);
  }

  /** Does what the message requests, or refuses it, and returns the answer. Never rejects. */
  answer(message: ScalingMessage, signal: AbortSignal): Promise<MonitorMessage> {
    return message.type === 'DownscaleRequest'
      ? this.#downscale(message, signal)
      : this.#upscale(message, signal);
  }

  /** The memory has already been added, so the threshold rises even if resizing the file cache fails. */
  async #upscale({ id, memBytes }: ScalingMessage, signal: AbortSignal): Promise<MonitorMessage> {
    const usable = usableBytes(memBytes);
    this.#setThreshold(thresholdBytes(usable));
    try {
      const cache = await this.#resizeFileCache(usable, signal);
      this.#options.log.info(`upscale to ${inMib(memBytes)}: ${this.#sizes(cache)}`);
    } catch (error) {
      return this.#failed(id, 'upscale', 'failed to handle upscale', error);
    }
    this.#count('upscale', 'ok');
    return { type: 'UpscaleConfirmation', id };
  }

  async #downscale({ id, memBytes }: ScalingMessage, signal: AbortSignal): Promise<MonitorMessage> {
    const judged = judgeDownscale(memBytes, this.#watch.usage());
    if (judged.verdict === 'impossible') {
      this.#refused(judged.reason);
      const cause = this.#watch.failing ?? undefined;
      return this.#failed(
        id,
        'downscale',
        'failed to downscale',
        new ComputeError('vm', judged.text, { cause }),
      );
    }
    if (judged.verdict === 'refused') {
      this.#refused(judged.reason);
      this.#count('downscale', 'refused');
      this.#options.log.info(`downscale to ${inMib(memBytes)} refused: ${judged.text}`);
      return { type: 'DownscaleResult', Ok: false, Status: judged.text, id };
    }
    let cache: number | null;
    try {
      cache = await this.#resizeFileCache(judged.usableBytes, signal);
    } catch (error) {
      this.#refused('file_cache');
      return this.#failed(id, 'downscale', 'failed to downscale', error);
    }
    this.#setThreshold(judged.thresholdBytes);
    const sizes = this.#sizes(cache);
    this.#options.log.info(`downscale to ${inMib(memBytes)}: ${sizes}`);
    this.#count('downscale', 'ok');
    return { type: 'DownscaleResult', Ok: true, Status: sizes, id };
  }

  #failed(id: number, type: string, what: string, error: unknown): MonitorMessage {
    this.#count(type, 'failed');
    const text = `${what}: ${explained(error)}`;
    this.#options.log.error(text);
    return { type: 'InternalError', error: text, id };
  }

  #sizes(cacheBytes: number | null): string {
    const cache = cacheBytes === null ? '' : `, the file cache ${inMib(cacheBytes)}`;
    return `the threshold is ${inMib(this.#threshold)}${cache}`;
  }

  async #resizeFileCache(ofBytes: number, signal: AbortSignal): Promise<number | null> {
    const cache = this.#options.fileCache();
    if (cache === null) return null;
    const bytes = await cache.resize(fileCacheBytes(ofBytes), signal);
    if (bytes !== null) this.#options.metrics.set('compute_ctl_vm_monitor_file_cache_bytes', bytes);
    return bytes;
  }

  #setThreshold(bytes: number): void {
    this.#threshold = bytes;
    this.#options.metrics.set('compute_ctl_vm_monitor_threshold_bytes', bytes);
  }

  #refused(reason: string): void {
    this.#options.metrics.inc('compute_ctl_vm_monitor_refusals_total', { reason });
  }

  #count(type: string, outcome: string): void {
    this.#options.metrics.inc('compute_ctl_vm_monitor_requests_total', { type, outcome });
  }
}
