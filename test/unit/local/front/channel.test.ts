import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Channel, clientBytes } from '../../../../src/local/front/channel.ts';
import { Link } from '../../../../src/local/front/link.ts';
import { message } from '../../../../src/wire/messages.ts';

const open: { destroy(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.destroy();
});

/** Both ends of a connection. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  const [far] = (await once(server, 'connection')) as [Socket];
  far.on('error', () => {});
  open.push(near, far, { destroy: () => void server.close() });
  return [near, far];
}

test('of a client that has not logged in no more is kept than its first packet and one chunk', async () => {
  const [near, far] = await pair();
  const channel = new Channel(far, clientBytes);
  near.write(Buffer.alloc(8_000_000));
  await expect.poll(() => far.isPaused()).toBe(true);
  expect(channel.holds).toBe(true);
  // One chunk more, and what the stream reads ahead.
  expect(far.bytesRead).toBeLessThan(clientBytes + 3 * 65_536);
});

test('a client that does not take its answer is not quiet, although Postgres has nothing more to say', async () => {
  const [client, clientSide] = await pair();
  const [postgres, serverSide] = await pair();
  client.pause();
  const link = new Link(clientSide, { said: () => {}, lost: () => {} });
  link.join(new Channel(serverSide));
  const answer = Buffer.concat([message('D', Buffer.alloc(60_000)), message('Z', Buffer.from('I'))]);
  postgres.write(message('Z', Buffer.from('I')));
  await expect.poll(() => link.isQuiet).toBe(true);
  let isStuck = false;
  for (let each = 0; each < 2000 && !isStuck; each++) {
    const before = serverSide.bytesRead;
    postgres.write(answer);
    await expect.poll(() => serverSide.bytesRead - before).toBe(answer.length);
    isStuck = clientSide.writableLength > 0;
  }
  expect([isStuck, link.talk.idle, link.isQuiet]).toEqual([true, true, false]);
  client.resume();
  await expect.poll(() => link.isQuiet).toBe(true);
});
