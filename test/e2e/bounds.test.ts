import { once } from 'node:events';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { expect, test } from 'vitest';
import { type HttpRig, httpRig } from '../support/http-rig.ts';
import type { Rig } from '../support/compute.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import { eventually } from '../support/program.ts';

const megabyte = 1024 * 1024;

const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

/** The most that `pid` takes while `during` runs, more than before. */
async function growth(pid: number, during: () => Promise<void>): Promise<number> {
  const before = rssOf(pid);
  let most = before;
  let over = false;
  const watch = async (): Promise<void> => {
    while (!over) {
      most = Math.max(most, rssOf(pid));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const watching = watch();
  await during();
  over = true;
  await watching;
  return most - before;
}

async function withCompute(
  use: (rig: HttpRig) => Promise<void>,
  start: Parameters<Rig['start']>[0] = {},
): Promise<void> {
  const rig = await httpRig({ prepare: () => start });
  try {
    await use(rig);
  } finally {
    await rig.it.stop();
  }
}

async function unread(port: number, bytes: string | Buffer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

/** Lets the program work on what it was sent, and keeps the memory as it is without it. */
async function ask(rig: HttpRig, times: number): Promise<void> {
  for (let at = 0; at < times; at++)
    await rig.ask(rig.it.httpPort, 'GET', '/status', { headers: rig.bearer() });
}

test.each(['/metrics', '/status', '/nowhere'])(
  '1600 unread pipelined requests for %s on one connection take less than 20 MB',
  (path) =>
    withCompute(async (rig) => {
      await ask(rig, 300);
      const request = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: ${rig.bearer()['authorization']}\r\n\r\n`;
      const sockets: Socket[] = [];
      const grown = await growth(rig.program.pid, async () => {
        sockets.push(await unread(rig.it.httpPort, request.repeat(1600)));
        await ask(rig, 100);
      });
      expect(grown).toBeLessThan(20 * megabyte);
      for (const socket of sockets) socket.destroy();
    }),
);

test('a flood of pipelined requests without a token, 32 MB long, is left to the kernel', () =>
  withCompute(async (rig) => {
    await ask(rig, 300);
    const flood = Buffer.from('GET /nowhere HTTP/1.1\r\nhost:a\r\n\r\n'.repeat(1_000_000));
    const sockets: Socket[] = [];
    const grown = await growth(rig.program.pid, async () => {
      sockets.push(await unread(rig.it.httpPort, flood));
      await ask(rig, 200);
    });
    expect(grown).toBeLessThan(96 * megabyte);
    for (const socket of sockets) socket.destroy();
  }));

test('the internal server refuses what a page in a browser sends, before it does anything', () =>
  withCompute(async ({ internalPort, it, ask }) => {
    const { port } = it;
    expect(port).toBeGreaterThan(0);
    const evil = { headers: { origin: 'http://evil.example' } };
    const refused = await ask(internalPort, 'POST', '/refresh_configuration', evil);
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('this server is for programs on this machine');
    expect((await ask(internalPort, 'POST', '/refresh_configuration')).status).not.toBe(403);
  }));

test('the external server listens on the address that the command line names', async () => {
  const listening = /compute_ctl external HTTP server listening at (\S+):\d+/;
  for (const [args, address] of [
    [[], '[::]'],
    [['--external-http-host', '127.0.0.1'], '127.0.0.1'],
  ] as const) {
    const rig = await httpRig({ prepare: () => ({ args: [...args] }) });
    try {
      expect(listening.exec(rig.program.stderr())?.[1]).toBe(address);
    } finally {
      await rig.it.stop();
    }
  }
});

/** Addresses on which processes of this directory listen, e.g. `127.0.0.1` and `[::1]` in hex. */
function listening(rig: LocalRig): string[] {
  const inodes = new Set<string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readlinkSync(`/proc/${pid}/cwd`);
      if (!line.includes(rig.dir)) continue;
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        if (inode !== undefined) inodes.add(inode);
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  const listen = '0A';
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === listen && inodes.has(inode ?? ''))
      .map(([, address = '']) => address.split(':')[0] ?? ''),
  );
}

const loopback = ['0100007F', '00000000000000000000000001000000'];
const everywhere = ['00000000', '00000000000000000000000000000000'];

test('compute-local listens on the loopback only, unless it is told otherwise', async () => {
  const rig = localRig();
  try {
    const { program } = await rig.upAndReady();
    const addresses = listening(rig);
    expect(addresses.length).toBeGreaterThanOrEqual(6);
    expect(addresses.filter((address) => !loopback.includes(address))).toEqual([]);
    program.kill('SIGTERM');
    await program.exited();
    await rig.upAndReady(['--listen-all']);
    const all = listening(rig).filter((address) => everywhere.includes(address));
    // Postgres and the external HTTP server; the storage and the internal server never do.
    expect(all.length).toBeGreaterThanOrEqual(2);
    expect(all.length).toBeLessThanOrEqual(3);
  } finally {
    await rig.clean();
  }
});

test('a page in a browser gets no answer from any HTTP server of compute-local', async () => {
  const rig = localRig();
  try {
    await rig.upAndReady();
    const { ports } = rig.state();
    for (const name of ['externalHttp', 'internalHttp', 'controlPlane', 'dashboard']) {
      const port = ports[name] as number;
      const answer = await eventually(name, async () => {
        const socket = await unread(port, 'GET /status HTTP/1.1\r\nhost: evil.example\r\n\r\n');
        const [bytes] = (await once(socket, 'data')) as [Buffer];
        socket.destroy();
        return bytes.toString();
      });
      expect([name, answer]).toEqual([name, expect.stringMatching(/^HTTP\/1\.1 403 /)]);
    }
  } finally {
    await rig.clean();
  }
});

test('a crowd of connections leaves a process that may open 1024 files those that it needs', () =>
  withCompute(
    async (rig) => {
      const { it, program } = rig;
      const sockets: Socket[] = [];
      for (const bytes of ['', 'GET /livez HTTP/1.1\r\nhost: a\r\n\r\n'])
        for (let at = 0; at < 1200; at++) sockets.push((await unread(it.httpPort, bytes)).resume());
      expect(readdirSync(`/proc/${program.pid}/fd`).length).toBeLessThan(1024 / 2);
      expect(await it.http('POST', '/check_writability')).toMatchObject({ status: 200 });
      expect(await it.http('GET', '/database_schema?database=postgres')).toMatchObject({ status: 200 });
      expect(program.stderr()).not.toContain('EMFILE');
      for (const socket of sockets) socket.destroy();
    },
    { before: 'ulimit -n 1024' },
  ));
