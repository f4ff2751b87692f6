import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monotonicMs } from '../core/clock.ts';
import { ComputeError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { repeat } from '../core/retry.ts';
import { type Usage, inMib } from './decisions.ts';
import { anonymousBytes, containerLimitBytes, memTotalBytes } from './memory.ts';
import { Samples, UseLog } from './samples.ts';

/** A control group of version 2. */
export interface Cgroup {
  /** Where the hierarchy is mounted, usually `/sys/fs/cgroup`. */
  readonly root: string;
  /** The group's name, a path below the root. */
  readonly name: string;
}

const sampleMs = 100;

const statFile = ({ root, name }: Cgroup): string => join(root, name, 'memory.stat');

/** The guest's memory in bytes, or the container's limit.
 *  @throws ComputeError `vm` */
export async function totalMemory({ root }: Cgroup, meminfo = '/proc/meminfo'): Promise<number> {
  const maybe = (path: string): Promise<string | null> => readFile(path, 'utf8').catch(() => null);
  const current = await maybe(join(root, 'memory.current'));
  const limit = containerLimitBytes(current, await maybe(join(root, 'memory.max')));
  const total = limit ?? memTotalBytes((await maybe(meminfo)) ?? '');
  if (total === null) throw new ComputeError('vm', `${meminfo} does not contain the total memory`);
  return total;
}

/** Bytes of memory that the group uses now.
 *  @throws ComputeError `vm`, also when the file does not contain the value: a missing value never counts as zero */
async function memoryUse(cgroup: Cgroup): Promise<number> {
  const path = statFile(cgroup);
  const bytes = anonymousBytes(await readOrFail(path));
  if (bytes === null) throw new ComputeError('vm', `${path} does not contain the anonymous memory`);
  return bytes;
}

async function readOrFail(path: string, hint?: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? messageOf(error);
    throw new ComputeError('vm', `cannot read ${path}: ${why}`, hint === undefined ? {} : { hint });
  }
}

/** Checks that the group's memory can be monitored; the error says what is missing.
 *  @throws ComputeError `vm` */
export async function checkCgroup(cgroup: Cgroup): Promise<void> {
  const controllers = join(cgroup.root, 'cgroup.controllers');
  const listed = await readOrFail(
    controllers,
    'cgroups v2 are not mounted there; set another root with --cgroup-root',
  );
  if (!listed.split(/\s+/).includes('memory')) {
    throw new ComputeError('vm', `${controllers} does not list the memory controller`);
  }
  const hint = `the machine's image must create the group ${cgroup.name} at boot`;
  await readOrFail(statFile(cgroup), hint);
}

/** Samples a group's memory use ten times a second. */
export class MemoryWatch {
  readonly #cgroup: Cgroup;
  readonly #log: Log;
  readonly #samples = new Samples();
  readonly #useLog = new UseLog();
  #lastMs = monotonicMs();
  #failing: string | null = null;

  constructor(cgroup: Cgroup, log: Log) {
    this.#cgroup = cgroup;
    this.#log = log;
  }

  usage(): Usage {
    const { count, averageBytes } = this.#samples;
    return { count, averageBytes, ageMs: monotonicMs() - this.#lastMs };
  }

  /** Why the last sample failed; null when it did not. */
  get failing(): string | null {
    return this.#failing;
  }

  /** Takes samples until `signal` aborts, the first one immediately; missed ticks are skipped.
   *  @param onTick called after each attempt; `failed` when there was no sample */
  async run(onTick: (outcome: 'sampled' | 'failed') => void, signal: AbortSignal): Promise<void> {
    let dueMs = monotonicMs();
    const tick = async (): Promise<number> => {
      onTick((await this.#sample()) ? 'sampled' : 'failed');
      const nowMs = monotonicMs();
      // From tick to tick, not from now: a timer that fires a little early must not add a tick.
      dueMs += sampleMs * Math.max(1, Math.ceil((nowMs - dueMs) / sampleMs));
      return dueMs - nowMs;
    };
    await repeat(tick, signal);
  }

  async #sample(): Promise<boolean> {
    try {
      this.#samples.add(await memoryUse(this.#cgroup));
    } catch (error) {
      const why = messageOf(error);
      if (this.#failing !== why) this.#log.warn(`could not sample the memory use: ${why}`);
      this.#failing = why;
      return false;
    }
    if (this.#failing !== null) this.#log.info('sampling the memory use works again');
    this.#failing = null;
    this.#lastMs = monotonicMs();
    const { averageBytes } = this.#samples;
    if (this.#useLog.due(averageBytes, this.#lastMs)) {
      this.#log.info(`memory use of ${this.#cgroup.name}: ${inMib(averageBytes)} on average`);
    }
    return true;
  }
}
