import { ComputeError, codeOf } from '../../core/errors.ts';
import { ProtocolError } from '../../wire/messages.ts';
import { Refused } from './key-log-in.ts';
import { fatal } from './messages.ts';

/** What a client is told whose session cannot go on; null: it was too slow, and is told nothing.
 *  @param demands it waits for Postgres */
export function lastWords(error: unknown, demands: boolean): Buffer | null {
  if (error instanceof Refused) return error.raw;
  if (error instanceof ProtocolError) return fatal('08P01', error.message);
  if (codeOf(error) === 'deadline' && !demands) return null;
  // Of all that can hold up a start, this is for who runs the machine, and nobody else's secret.
  const isPort = error instanceof ComputeError && error.code === 'port';
  const hint = isPort ? (error.hint ?? null) : null;
  const more = { ...(isPort && { detail: error.message }), ...(hint !== null && { hint }) };
  return fatal('57P03', 'the database system is starting up', more);
}
