import { ComputeError } from '../../core/errors.ts';
import { writeDurable } from '../../process/files.ts';
import type { TimelineDir } from './layout.ts';
import { readSmall } from '../../process/regular-file.ts';

/** Decides which compute may write to the timeline.
 *
 *  Every base backup for a primary has its own number, which the storage writes to disk before it sends the first byte.
 *  The storage receives WAL only from the compute that was created from the latest number. So an older compute that still
 *  runs, or starts late, cannot acknowledge any commit, independently of clocks. */
export class Fence {
  readonly #path: string;
  #generation: number;

  constructor(dir: TimelineDir) {
    this.#path = dir.fence;
    this.#generation = read(dir.fence);
  }

  /** Number of the latest base backup for a primary; 0 when there was none. */
  get generation(): number {
    return this.#generation;
  }

  /** Fences all earlier computes and returns the number for the next one. It is on disk when this returns. */
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
    text = readSmall(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  const { generation } = JSON.parse(text) as { generation?: unknown };
  if (typeof generation === 'number') return generation;
  throw new ComputeError('local_storage', `${path} is damaged: it does not have a generation`);
}
