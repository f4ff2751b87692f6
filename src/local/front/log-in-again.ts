import type { Startup } from './first-packet.ts';
import { refusalAfter } from './refusals.ts';
import { type Roster, verifierOf } from './roster.ts';
import { type Exchange, clientKeyOf, opens } from './scram.ts';

/** What a client has proved of its password. */
export interface Proved {
  readonly startup: Startup | null;
  /** Null while only the proof is known. */
  readonly key: Buffer | null;
  readonly exchange: Exchange | null;
}

/** The ClientKey with which the log-in of a client can be repeated; null when it cannot: the password may be another one by now. */
export function keyToReturn({ startup, key, exchange }: Proved, roster: Roster): Buffer | null {
  if (startup === null || refusalAfter(startup, roster) !== null) return null;
  const verifier = verifierOf(roster, startup.role, Date.now());
  if (verifier === null) return null;
  const found = key ?? (exchange === null ? null : clientKeyOf(exchange, verifier));
  return found !== null && opens(found, verifier) ? found : null;
}
