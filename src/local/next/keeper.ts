import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { renameSync, rmSync } from 'node:fs';
import { linked } from '../../core/abort.ts';
import { alarm, monotonicMs, raceAbort } from '../../core/clock.ts';
import { inline } from '../../core/errors.ts';
import { endChild, termThenKill } from '../../process/end.ts';
import { type UpContext, nextChild } from '../children.ts';
import { isWhole } from './places.ts';
import { hasTemplate } from './template.ts';
import { type NextEvent, type Outcome, parseNextEvent, stoppedByWake } from './events.ts';

/** It stops its PostgreSQL first. */
const graceMs = 10_000;
/** A start that waits for longer could as well copy everything. */
const aheadMs = 60_000;

/** Has the next data directory prepared while the compute sleeps, by a process of its own. */
export class NextStart {
  readonly #context: UpContext;
  readonly #mostBytes: number | null;
  readonly #onOutcome: (outcome: Outcome) => void;
  #last: Promise<void> = Promise.resolve();

  /** @param mostBytes for larger databases nothing is prepared; 0: never; null: always */
  constructor(context: UpContext, mostBytes: number | null, onOutcome: (outcome: Outcome) => void) {
    this.#context = context;
    this.#mostBytes = mostBytes;
    this.#onOutcome = onOutcome;
  }

  /** Begins when the one before has ended. The abort of `signal` ends it, and nobody waits for that. */
  begin(signal: AbortSignal): void {
    this.#add(signal, false);
  }

  /** The same before the first start, which waits for it: only where that is quick, because an earlier run has left a template. */
  async ahead(signal: AbortSignal, limitMs = aheadMs): Promise<void> {
    const { dir } = this.#context;
    const limited = linked(signal);
    const cancel = alarm(limitMs, () => limited.abort());
    try {
      if (hasTemplate(dir) && !isWhole(dir.next)) this.#add(limited.signal, true);
      await this.settled();
    } finally {
      cancel();
      limited.release();
    }
  }

  #add(signal: AbortSignal, onlyAdvance: boolean): void {
    if (this.#mostBytes === 0) return;
    this.#last = this.#last
      .then(() => this.#run(signal, onlyAdvance))
      .catch((error: unknown) => this.#failed(inline(error)));
  }

  #failed(reason: string): void {
    this.#onOutcome({ state: 'not_prepared', reason });
    this.#context.report.event('not-prepared', { reason }, null);
  }

  /** Resolves when none runs. */
  async settled(): Promise<void> {
    await this.#last;
  }

  async #run(signal: AbortSignal, onlyAdvance: boolean): Promise<void> {
    if (signal.aborted) return;
    const { dir, report, escalate } = this.#context;
    const startMs = monotonicMs();
    this.#onOutcome({ state: 'preparing', reason: null });
    const child = await nextChild(this.#context, this.#mostBytes, onlyAdvance);
    try {
      let said: NextEvent | null = null;
      createInterface({ input: child.stdout as Readable }).on('line', (line) => {
        const event = parseNextEvent(line);
        if (event?.event === 'preparing') {
          const { bytes, total_bytes, ms } = event;
          report.event('preparing', { bytes, total_bytes, ms }, null);
        } else said = event ?? said;
      });
      const over = await raceAbort(child.closed, signal).catch(() => null);
      if (over === null) return this.#failed(stoppedByWake);
      const last = said as NextEvent | null;
      if (last?.event === 'prepared' && !signal.aborted) {
        // Here, and not by that process: one that is late, or was left by an `up` that was killed, would put it there after the start
        // of another compute, and its own would be refused by the storage.
        renameSync(dir.nextFresh, dir.next);
        const ms = Math.round(monotonicMs() - startMs);
        this.#onOutcome({ state: 'prepared', reason: null });
        report.event('prepared', { way: last.way, lsn: last.lsn, ms }, null);
      } else {
        this.#failed(last?.event === 'failed' ? last.reason : 'its process was killed');
      }
    } finally {
      await endChild(child, termThenKill(graceMs), escalate);
      rmSync(dir.nextPid, { force: true });
    }
  }
}
