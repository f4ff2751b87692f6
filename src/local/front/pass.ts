import type { Socket } from 'node:net';
import { alarm } from '../../core/clock.ts';
import { fatal } from './messages.ts';

/** For the last bytes to a client. */
const farewellMs = 2000;

/** Passes bytes on, as fast as they are read. */
export function pass(chunk: Buffer, from: Socket, to: Socket): void {
  if (to.destroyed || to.write(chunk)) return;
  from.pause();
  to.once('drain', () => from.resume());
}

/** Closes a socket once its last bytes are sent; a client may never read them. */
export function farewell(socket: Socket, bytes?: Buffer): void {
  if (socket.destroyed) return;
  if (bytes === undefined) socket.end();
  else socket.end(bytes);
  const cancel = alarm(farewellMs, () => socket.destroy());
  socket.once('close', cancel);
}

/** Closes a connection of which nothing is read. */
export function turnAway(socket: Socket, sqlstate: string, text: string): void {
  socket.on('error', () => {}).resume();
  farewell(socket, fatal(sqlstate, text));
}
