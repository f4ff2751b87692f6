import { setPriority } from 'node:os';
import { abortedBy } from '../../core/abort.ts';
import { explained, inline } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { onSignals } from '../../process/signals.ts';
import { type NextEvent, stoppedByWake } from '../next/events.ts';
import { removeUnfinished } from '../next/places.ts';
import { prepare } from '../next/prepare.ts';
import { type LocalDir, stateOf } from '../state.ts';
import type { Copied } from '../storage/copying.ts';
import { type StorageOptions, limitsOf, toolsFor } from './storage.ts';

export interface NextOptions extends Pick<StorageOptions, 'pgBinDir' | 'warnFree' | 'stopFree'> {
  readonly prepareAtMost: number | null;
  readonly onlyAdvance: boolean;
}

/** Everybody else goes first, also before its PostgreSQL. */
const niceness = 10;

const tell = (event: NextEvent): void => void process.stdout.write(`${JSON.stringify(event)}\n`);

/** Prepares the data directory of the next start, until it is there, a signal comes, or its parent has ended (stdin ends). */
export async function prepareNext(dir: LocalDir, options: NextOptions, log: Log): Promise<number> {
  setPriority(niceness);
  process.stdout.on('error', () => {});
  const stop = new AbortController();
  onSignals((_, meaning) => void (meaning === 'ignore' || stop.abort()));
  const parentGone = (): void => stop.abort();
  process.stdin.on('end', parentGone).on('error', parentGone).resume();
  try {
    const state = stateOf(dir);
    const tools = await toolsFor(dir, state, options, stop.signal);
    const diskLimits = limitsOf(options);
    const mostBytes = options.prepareAtMost;
    const onCopied = (copied: Copied): void => tell({ event: 'preparing', ...copied });
    const context = {
      dir,
      state,
      tools,
      diskLimits,
      mostBytes,
      onlyAdvance: options.onlyAdvance,
      onCopied,
      log,
    };
    const done = await prepare(context, stop.signal);
    tell({ event: 'prepared', ...done });
    return 0;
  } catch (error) {
    const isStopped = abortedBy(error, stop.signal);
    if (!isStopped) log.warn(`the next data directory is not prepared: ${explained(error)}`);
    tell({ event: 'failed', reason: isStopped ? stoppedByWake : inline(error) });
    await removeUnfinished(dir).catch(() => {});
    return 1;
  }
}
