import { inline } from '../core/errors.ts';
import * as wire from './messages.ts';
import type { WireSession } from './session.ts';

export interface WireHandlers {
  /** Judges the start-up parameters, before any password is asked for. Null lets the client in. */
  readonly onStartup?: (session: WireSession) => Promise<wire.WireError | null>;
  /** When given, a clear-text password is asked for and judged here. */
  readonly password?: (token: string, session: WireSession) => Promise<wire.WireError | null>;
  /** Answers one statement through `session`. Throwing answers with an error: a `WireError` as it is, others as XX000. */
  readonly onQuery: (session: WireSession, text: string) => Promise<void>;
  /** Result columns of a statement, for clients that describe it first. Null or left out: not known in advance. */
  readonly columns?: (text: string) => readonly string[] | null;
}

/** Runs the handler and turns whatever it throws into an ErrorResponse. */
export async function runStatement(session: WireSession, options: WireHandlers, text: string): Promise<void> {
  try {
    if (/^[\s;]*$/.test(text)) {
      await session.send(wire.emptyQueryResponse());
      return;
    }
    await options.onQuery(session, text);
    if (!session.answered) throw new wire.WireError('XX000', 'the statement was not answered');
  } catch (error) {
    session.signal.throwIfAborted();
    if (error instanceof wire.WireError) await session.error(error.sqlstate, error.message);
    else await session.error('XX000', inline(error));
  }
}
