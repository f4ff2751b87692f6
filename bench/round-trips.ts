import { once } from 'node:events';
import { connect } from 'node:net';
import { serialize } from 'pg-protocol';
import type { LocalJson } from '../scripts/local-storage.mjs';

/** The floor of the check whether safekeepers are in sync: a connection, a log-in with a password, and one question, each sent as
 *  soon as the answer to the one before is there, and nothing read but that it has come. In milliseconds. */
export async function bareRoundTrips(state: LocalJson): Promise<number> {
  const start = performance.now();
  const socket = connect(state.ports.safekeeper, '127.0.0.1');
  try {
    await once(socket, 'connect');
    const options = `-c timeline_id=${state.timelineId} tenant_id=${state.tenantId}`;
    socket.write(serialize.startup({ user: 'no_user', database: 'no_user', options }));
    await once(socket, 'data');
    socket.write(serialize.password(state.storageToken));
    await once(socket, 'data');
    socket.write(serialize.query('TIMELINE_STATUS'));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    if (answer.toString('latin1', 0, 1) !== 'T')
      throw new Error(`the safekeeper refused: ${answer.toString()}`);
    return performance.now() - start;
  } finally {
    socket.destroy();
  }
}
