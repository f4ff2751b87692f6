import { withDeadline } from '../../core/clock.ts';
import { ProtocolError } from '../../wire/messages.ts';
import type { Channel, Packet } from './channel.ts';
import { Refused } from './key-log-in.ts';
import { type Snapshot, restore } from './session-state.ts';

/** For Postgres to say what a session would lose, or to give it back. */
export const stateMs = 30_000;

/** What a session has in its new server process. */
export interface Resumed {
  /** Pid and key for cancel requests. */
  readonly key: Buffer | null;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads what follows AuthenticationOk, all of which the client had from its first server process, and gives the session back
 *  what it had.
 *  @returns null when that cannot be had: then the connection is closed, as after an error
 *  @throws Refused; ProtocolError; AbortError; ComputeError `deadline` */
export async function resume(
  server: Channel,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<Resumed | null> {
  let resumed: Resumed | null = null;
  try {
    resumed = await withDeadline('the state of a session', stateMs, signal, (limited) =>
      giveBack(server, snapshot, limited),
    );
    return resumed;
  } finally {
    if (resumed === null) server.socket.destroy();
  }
}

async function giveBack(server: Channel, snapshot: Snapshot, signal: AbortSignal): Promise<Resumed | null> {
  const parameters = new Map<string, string>();
  const aside = ({ type, body }: Packet): void => {
    if (type !== 'S') return;
    const [name = '', value = ''] = body.toString('utf8').split('\0');
    parameters.set(name, value);
  };
  let key: Buffer | null = null;
  for (;;) {
    const packet = await server.next(false, signal);
    if (packet === null) throw new ProtocolError('end of the log-in');
    if (packet.type === 'E') throw new Refused(packet.raw);
    if (packet.type === 'K') key = Buffer.from(packet.body);
    if (packet.type === 'Z') break;
    aside(packet);
  }
  return (await restore(server, snapshot, aside, signal)) ? { key, parameters } : null;
}
