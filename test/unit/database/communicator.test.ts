import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type RequestListener, createServer } from 'node:http';
import { once } from 'node:events';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { communicatorMetrics } from '../../../src/database/communicator.ts';

const { signal } = new AbortController();

/** A data directory, `extra` characters longer than usual, with the metrics service in it. */
async function served(
  listener: RequestListener | null,
  use: (pgdata: string) => Promise<void>,
  extra = 0,
): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'communicator-'));
  const pgdata = join(home, 'x'.repeat(extra + 1));
  mkdirSync(pgdata);
  // A path this long can only be bound from inside.
  const cwd = process.cwd();
  const server =
    listener === null ? createSocket((socket) => socket.end('nonsense')) : createServer(listener);
  process.chdir(pgdata);
  server.listen('neon-communicator.socket');
  process.chdir(cwd);
  await once(server, 'listening');
  try {
    await use(pgdata);
  } finally {
    server.close();
    rmSync(home, { recursive: true, force: true });
  }
}

const links = (): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('compute_ctl.short-socket.'));

test('status, content type and body pass through, other headers do not; long paths too', async () => {
  const listener: RequestListener = ({ url }, answer) =>
    void answer.writeHead(203, { 'content-type': 'application/text', 'x-own': 'a' }).end(`${url} 1\n`);
  for (const extra of [0, 120]) {
    const before = links();
    await served(
      listener,
      async (pgdata) => {
        const { status, contentType, body } = await communicatorMetrics(pgdata, signal);
        expect([status, contentType]).toEqual([203, 'application/text']);
        expect(await text(body)).toBe('/autoscaling_metrics 1\n');
      },
      extra,
    );
    expect(links()).toEqual(before);
  }
});

test('what fails is told apart: connecting, and answering', async () => {
  await expect(communicatorMetrics('/var/tmp/none', signal)).rejects.toThrow(
    /^connecting to communicator control socket: connect ENOENT/,
  );
  await served(null, async (pgdata) => {
    await expect(communicatorMetrics(pgdata, signal)).rejects.toThrow(
      /^fetching metrics from Postgres metrics service: /,
    );
  });
});

test('a service that never answers is left when the client leaves', () =>
  served(
    () => {},
    async (pgdata) => {
      await expect(communicatorMetrics(pgdata, AbortSignal.timeout(50))).rejects.toMatchObject({
        name: 'TimeoutError',
      });
    },
  ));
