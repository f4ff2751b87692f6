import { existsSync, readFileSync } from 'node:fs';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { writeDurable } from '../../process/files.ts';
import type { TimelineDir } from './layout.ts';

/** Long enough for a renewal half way to be missed twice, short enough that a view of the past that is gone does not
 *  put off the next base for long. */
const leaseMs = 60_000;

/** Positions at which somebody reads. While there are any, no new base takes the place of the one that they need. */
export class Leases {
  readonly #path: string;
  /** LSN to the end of its lease, in milliseconds since 1970. */
  readonly #ends: Map<string, number>;

  constructor({ leases }: TimelineDir) {
    this.#path = leases;
    const known = existsSync(leases) ? (JSON.parse(readFileSync(leases, 'utf8')) as object) : {};
    this.#ends = new Map(Object.entries(known) as [string, number][]);
  }

  /** @returns when it ends, in milliseconds since 1970 */
  grant(lsn: Lsn): number {
    const end = Date.now() + leaseMs;
    this.#forget();
    this.#ends.set(formatLsn(lsn), end);
    writeDurable(this.#path, `${JSON.stringify(Object.fromEntries(this.#ends))}\n`);
    return end;
  }

  any(): boolean {
    this.#forget();
    return this.#ends.size > 0;
  }

  #forget(): void {
    for (const [lsn, end] of this.#ends) if (end < Date.now()) this.#ends.delete(lsn);
  }
}
