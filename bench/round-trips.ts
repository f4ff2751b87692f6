import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { serialize } from 'pg-protocol';
import type { LocalJson } from '../scripts/local-storage.mjs';

/** The floor of the check whether safekeepers are in sync: a connection, a log-in with a password, and one question, each sent as
 *  soon as the answer to the one before is there. Of the answers only the ends are looked for. In milliseconds. */
export async function bareRoundTrips(state: LocalJson): Promise<number> {
  const start = performance.now();
  const limit = { signal: AbortSignal.timeout(10_000) };
  const socket = connect(state.ports.safekeeper, '127.0.0.1');
  try {
    await once(socket, 'connect', limit);
    const options = `-c timeline_id=${state.timelineId} tenant_id=${state.tenantId}`;
    socket.write(serialize.startup({ user: 'no_user', database: 'no_user', options }));
    await once(socket, 'data', limit);
    socket.write(serialize.password(state.storageToken));
    await untilReady(socket, limit);
    socket.write(serialize.query('TIMELINE_STATUS'));
    const answer = await untilReady(socket, limit);
    if (!answer.startsWith('T')) throw new Error(`the safekeeper refused: ${answer}`);
    return performance.now() - start;
  } finally {
    socket.destroy();
  }
}

const readyForQuery = 'Z\0\0\0\x05I';

async function untilReady(socket: Socket, limit: { readonly signal: AbortSignal }): Promise<string> {
  let text = '';
  while (!text.endsWith(readyForQuery)) {
    const [piece] = (await once(socket, 'data', limit)) as [Buffer];
    text += piece.toString('latin1');
  }
  return text;
}
