import { existsSync } from 'node:fs';
import { ComputeError } from '../../core/errors.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { writeDurable } from '../../process/files.ts';
import type { TimelineDir } from './layout.ts';
import { readSmall } from '../../process/regular-file.ts';

/** Long enough for two missed renewals, short enough that a stopped static node does not delay the next base backup for
 *  long. */
const leaseMs = 60_000;
/** LSNs at a time. */
const most = 1000;

/** LSNs that static nodes read at. While there are any, the base backup that they require is not replaced. */
export class Leases {
  readonly #path: string;
  /** Key: LSN; value: the end of its lease, in milliseconds since 1970. */
  readonly #ends: Map<string, number>;

  constructor({ leases }: TimelineDir) {
    this.#path = leases;
    const known = existsSync(leases) ? (JSON.parse(readSmall(leases)) as object) : {};
    this.#ends = new Map(Object.entries(known) as [string, number][]);
  }

  /** @returns when the lease ends, in milliseconds since 1970
   *  @throws ComputeError `busy` */
  grant(lsn: Lsn): number {
    const end = Date.now() + leaseMs;
    this.#forget();
    if (this.#ends.size >= most && !this.#ends.has(formatLsn(lsn)))
      throw new ComputeError('busy', `${most} LSNs are leased already`);
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
