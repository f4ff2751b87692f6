import { explained } from '../core/errors.ts';
import * as wire from './messages.ts';
import type { WireSession } from './session.ts';

export interface WireHandlers {
  /** Checks the start-up parameters, before a password is requested. Null accepts the client. */
  readonly onStartup?: (session: WireSession) => Promise<wire.WireError | null>;
  /** Checks the password. If set, the server requests a clear-text password. */
  readonly password?: (token: string, session: WireSession) => Promise<wire.WireError | null>;
  /** Answers one statement through `session`. A thrown error is sent to the client: a `WireError` unchanged, others as XX000. */
  readonly onQuery: (session: WireSession, text: string) => Promise<void>;
  /** A statement's result columns, for clients that send Describe first. Null or left out: not known in advance. */
  readonly columns?: (text: string) => readonly string[] | null;
}

/** Runs the handler and sends any error that it throws as an ErrorResponse. */
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
    else await session.error('XX000', explained(error));
  }
}
