import { readFileSync } from 'node:fs';
import { ComputeError } from '../../core/errors.ts';
import { writeDurable } from '../../process/files.ts';
import type { TimelineDir } from './layout.ts';

/** Decides which compute may write to the timeline.
 *
 *  Every base backup for a primary carries a number of its own, which the storage remembers before it sends the first
 *  byte. Only the compute that was made from the latest number is ever received from. An older compute that still
 *  runs, or starts late, can therefore acknowledge nothing any more, whatever the clock says. */
export class Fence {
  readonly #path: string;
  #generation: number;

  constructor(dir: TimelineDir) {
    this.#path = dir.fence;
    this.#generation = read(dir.fence);
  }

  /** Number of the latest answer to a primary; 0 when there was none. */
  get generation(): number {
    return this.#generation;
  }

  /** Shuts out every compute so far and gives the number for the next. It is on disk when this returns. */
  next(): number {
    const next = this.#generation + 1;
    writeDurable(this.#path, `${JSON.stringify({ generation: next })}\n`);
    this.#generation = next;
    return next;
  }
}

function read(path: string): number {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  const { generation } = JSON.parse(text) as { generation?: unknown };
  if (typeof generation === 'number') return generation;
  throw new ComputeError('local_storage', `${path} is damaged: it holds no generation`);
}
