import { explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { repeat } from '../../core/retry.ts';
import { writesAreStopped } from './compute-link.ts';
import type { Timeline } from './timeline.ts';
import type { Watch } from './watch.ts';

export interface WritesOptions {
  readonly timeline: Timeline;
  readonly watch: Pick<Watch, 'level'>;
  /** Asks the compute that writes to fetch its spec again, in which the storage says whether writes are stopped. */
  readonly refresh: (signal: AbortSignal) => Promise<void>;
  readonly log: Log;
}

const lookMs = 1000;
/** For the compute to take its new spec. */
const settleMs = 3000;
const retryMs = 10_000;

/** Brings the compute's setting for new transactions in line with the disk: read-only while it is nearly full. It is looked at
 *  when the disk's level changes, and once for each compute that is attached. Never rejects. */
export async function keepWritable(options: WritesOptions, signal: AbortSignal): Promise<void> {
  const { timeline, watch, log } = options;
  /** The latest one that was attached: the receiver may have lost it because the disk is full. */
  let compute: AbortSignal | null = null;
  /** That compute, and what was found to be in force there. */
  let settled: { readonly compute: AbortSignal; readonly stopped: boolean } | null = null;
  const look = async (): Promise<number> => {
    compute = timeline.receiver.attached ?? compute;
    const stopped = watch.level === 'stop';
    if (compute === null || (settled?.compute === compute && settled.stopped === stopped)) return lookMs;
    if ((await writesAreStopped(timeline.server, signal)) === stopped) {
      settled = { compute, stopped };
      return lookMs;
    }
    log.warn(stopped ? 'stopping writes: the disk is nearly full' : 'allowing writes again');
    // Until it is seen again: the level may go back before the compute has its new spec.
    settled = null;
    await options.refresh(signal);
    return settleMs;
  };
  await repeat(look, signal, (error) => {
    log.info(
      `could not ask the compute to ${watch.level === 'stop' ? 'stop' : 'allow'} writes: ${explained(error)}`,
    );
    return retryMs;
  });
}
