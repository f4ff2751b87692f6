import { type Lsn, formatLsn } from '../../core/lsn.ts';
import type { ComputeIdentity } from './compute-link.ts';

interface Stored {
  /** Of the database system in the base backup. */
  readonly systemId: string;
  /** The only compute that may write. */
  readonly generation: number;
  /** The end of the last whole record received. */
  readonly end: () => Lsn;
}

/** Why the WAL of this compute must not be received; null when it may be. */
export function refusalOf(compute: ComputeIdentity, stored: Stored): string | null {
  if (compute.systemId !== stored.systemId) {
    return `the server at the socket is another database system (${compute.systemId}, not ${stored.systemId})`;
  }
  if (compute.generation === stored.generation) return lacking(compute.flushLsn, stored);
  const made = compute.generation === null ? 'not from this storage' : `number ${compute.generation}`;
  return `the compute is fenced: its base backup is ${made}, and only number ${stored.generation} may write`;
}

/** The receiver would overwrite stored WAL that the compute does not have, for instance after damaged WAL ended its
 *  recovery early. */
function lacking(flushLsn: Lsn | null, stored: Stored): string | null {
  if (flushLsn === null) return 'the compute is in recovery';
  const end = stored.end();
  if (flushLsn >= end) return null;
  const [has, kept] = [formatLsn(flushLsn), formatLsn(end)];
  return `the compute's WAL ends at ${has}, but the storage has commits up to ${kept}, which must not be overwritten`;
}
