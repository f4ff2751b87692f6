import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import { never } from '../../core/abort.ts';
import { alarm, monotonicMs, sleep } from '../../core/clock.ts';

/** How long Postgres may be too busy to take a connection. */
const fullMs = 20_000;
const againMs = 10;

/** Connects to Postgres. While the queue of its socket is full, which a Unix socket says at once, it tries again.
 *  @throws the system's error; AbortError */
export async function connectToPostgres(
  { dir, port }: { readonly dir: string; readonly port: number },
  signal: AbortSignal,
): Promise<Socket> {
  const startMs = monotonicMs();
  for (;;) {
    signal.throwIfAborted();
    const socket = connect(join(dir, `.s.PGSQL.${port}`));
    socket.on('error', () => {});
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch (error) {
      socket.destroy();
      const isFull = (error as NodeJS.ErrnoException).code === 'EAGAIN';
      if (!isFull || monotonicMs() - startMs > fullMs) throw error;
    }
    await sleep(againMs * (1 + Math.random()), signal);
  }
}

const cancelRequest = 80877102;
const headBytes = 8;
const cancelMs = 5000;

/** Passes a cancel request on. Resolves when Postgres has taken it, or cannot.
 *  @param key pid and key, as Postgres gave them */
export async function sendCancel(
  server: { readonly dir: string; readonly port: number },
  key: Buffer,
): Promise<void> {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(headBytes + key.length, 0);
  head.writeUInt32BE(cancelRequest, 4);
  const socket = await connectToPostgres(server, never);
  socket.resume();
  socket.end(Buffer.concat([head, key]));
  // Postgres closes without an answer.
  const cancel = alarm(cancelMs, () => socket.destroy());
  await once(socket, 'close').finally(cancel);
}
