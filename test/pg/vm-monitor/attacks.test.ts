import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createLog } from '../../../src/core/log.ts';
import { Metrics } from '../../../src/metrics/registry.ts';
import { mib } from '../../../src/vm-monitor/decisions.ts';
import { type Monitor, startMonitor } from '../../../src/vm-monitor/server.ts';
import { Agent, type FakeHierarchy, fakeHierarchy } from '../../support/agent.ts';
import { eventually } from '../../support/program.ts';

const gib = 1024 * mib;
const log = createLog({ format: 'text', level: 'silent' });
let hierarchy: FakeHierarchy;
let monitor: Monitor;
const sockets: Socket[] = [];

beforeEach(async () => {
  hierarchy = fakeHierarchy(4 * gib);
  monitor = await startMonitor({
    listening: { host: '127.0.0.1', port: 0 },
    cgroup: { root: hierarchy.root, name: 'neon-postgres' },
    fileCache: () => null,
    metrics: new Metrics(),
    log,
  });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await monitor.close();
  hierarchy.remove();
});

function open(): Socket {
  const socket = connect(monitor.port, '127.0.0.1');
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==';
const handShake = (change: Partial<Record<'line' | 'version' | 'key' | 'more', string>> = {}): string =>
  [
    change.line ?? 'GET /monitor HTTP/1.1',
    'host: vm:10301',
    'connection: Upgrade',
    'upgrade: websocket',
    change.version ?? 'sec-websocket-version: 13',
    change.key ?? key,
    ...(change.more === undefined ? [] : [change.more]),
    '\r\n',
  ].join('\r\n');

/** The head of the answer to raw text; empty when the connection ends without one. */
function headOf(text: string): Promise<string> {
  const socket = open();
  socket.write(text);
  return new Promise((resolve) => {
    let got = '';
    socket.on('data', (piece) => {
      got += piece.toString('latin1');
      if (got.includes('\r\n\r\n')) resolve(got.slice(0, got.indexOf('\r\n\r\n')).toLowerCase());
    });
    socket.once('close', () => resolve(got.toLowerCase()));
  });
}

test('idle connections keep no agent out: it gets in at once, and its connection stays', async () => {
  const first = await Agent.connect(monitor.port);
  for (let at = 0; at < 200; at++) await once(open(), 'connect');
  const agent = await Agent.connect(monitor.port);
  expect(await agent.healthCheck()).toMatchObject({ id: 2 });
  for (let at = 0; at < 200; at++) await once(open(), 'connect');
  expect(await agent.healthCheck()).toMatchObject({ id: 4 });
  expect(await first.closed).toEqual({ code: 1000, reason: 'replaced by a new connection' });
  const open32 = (): true | undefined =>
    sockets.filter((one) => !one.destroyed).length <= 32 ? true : undefined;
  await eventually('no more than 32 idle connections', open32);
  await agent.close();
});

test('heads that never end keep no agent out', async () => {
  for (let at = 0; at < 100; at++) open().write('GET /monitor HTTP/1.1\r\nx: ');
  const agent = await Agent.connect(monitor.port);
  expect(await agent.healthCheck()).toMatchObject({ id: 2 });
  await agent.close();
});

test.each([
  ['version 8', { version: 'sec-websocket-version: 8' }, '426'],
  ['version 13 written as 0xd', { version: 'sec-websocket-version: 0xd' }, '426'],
  ['two versions', { version: 'sec-websocket-version: 13, 8' }, '426'],
  ['no version', { version: 'x: y' }, '426'],
  ['HTTP/1.0', { line: 'GET /monitor HTTP/1.0' }, '400'],
  ['a key that is too short', { key: 'sec-websocket-key: abc' }, '400'],
  ['no key', { key: 'x: y' }, '400'],
  ['another method', { line: 'POST /monitor HTTP/1.1' }, '405'],
  ['another path', { line: 'GET /monitor/x HTTP/1.1' }, '404'],
  ['a broken list of subprotocols', { more: 'sec-websocket-protocol: a,,b' }, '400'],
  ['a page in a browser', { more: 'origin: http://localhost' }, '403'],
])('a hand-shake with %s is refused before the agent is replaced', async (_, change, status) => {
  const agent = await Agent.connect(monitor.port);
  const head = await headOf(handShake(change));
  expect(head).toMatch(new RegExp(`^http/1.1 ${status} `));
  expect(head.includes('\r\nsec-websocket-version: 13')).toBe(status === '426');
  expect(await agent.healthCheck()).toMatchObject({ id: 2 });
  await agent.close();
});

test('no subprotocol is echoed', async () => {
  const head = await headOf(handShake({ more: 'sec-websocket-protocol: chat, superchat' }));
  expect(head).toMatch(/^http\/1.1 101 /);
  expect(head).not.toContain('sec-websocket-protocol');
});

test.each(['http://vm:10301/monitor', 'ws://vm:10301/monitor'])(
  'the absolute target %s is taken',
  async (target) => {
    expect(await headOf(handShake({ line: `GET ${target} HTTP/1.1` }))).toMatch(/^http\/1.1 101 /);
  },
);

test('twenty and two thousand health checks before the set-up are answered in order', async () => {
  for (const count of [20, 2000]) {
    const socket = new WebSocket(`ws://127.0.0.1:${monitor.port}/monitor`);
    const ids: number[] = [];
    socket.on('message', (data) => {
      const { type, id } = JSON.parse((data as Buffer).toString()) as { type?: string; id: number };
      if (type === 'HealthCheck') ids.push(id);
    });
    await once(socket, 'open');
    socket.send('{"min":1,"max":1}');
    const sent = Array.from({ length: count }, (__, at) => 2 * at + 2);
    for (const id of sent) socket.send(`{"content":{},"type":"HealthCheck","id":${id}}`);
    await eventually(`${count} answers`, () => ids.length === count || undefined);
    expect(ids).toEqual(sent);
    socket.terminate();
  }
});

test('a group that vanishes ends the connection with 1011 instead of leaving the agent blind', async () => {
  const agent = await Agent.connect(monitor.port);
  await agent.healthCheck();
  rmSync(hierarchy.group, { recursive: true });
  const { code, reason } = await agent.closed;
  expect(code).toBe(1011);
  expect(reason).toContain('the memory control group is gone');
});

test.each([
  ['one list', 'active_anon 5\nfile 7\n'],
  ['half a number', 'active_anon 5\ninactive_anon 73'],
  ['no text', ''],
  ['a negative number', 'active_anon 5\ninactive_anon -1\n'],
  ['a number beyond all memory', 'active_anon 5\ninactive_anon 99999999999999999999\n'],
])('a memory.stat with %s is no zero: no downscale, and 1011 after 5 s', async (_, text) => {
  hierarchy.use(3 * gib);
  const agent = await Agent.connect(monitor.port);
  await eventually('samples', async () => (await agent.mayDownscale(4 * gib)).Ok || undefined);
  writeFileSync(join(hierarchy.group, 'memory.stat'), text);
  expect(await agent.mayDownscale(gib)).toMatchObject({ Ok: false });
  const { code, reason } = await agent.closed;
  expect(code).toBe(1011);
  expect(reason).toContain('the last sample of the memory use is');
});

test('an agent that sends pings and reads nothing is dropped', async () => {
  const socket = open();
  socket.write(handShake());
  await once(socket, 'data');
  socket.pause();
  const ping = Buffer.concat([Buffer.from([0x89, 0x80 | 125, 0, 0, 0, 0]), Buffer.alloc(125, 'x')]);
  const many = Buffer.concat(Array.from({ length: 1000 }, () => ping));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  let sent = 0;
  const flood = (): void => {
    while (!socket.destroyed && socket.writableLength < 1_000_000 && sent < 2000) {
      socket.write(many);
      sent++;
    }
  };
  socket.on('drain', flood);
  flood();
  await closed;
  const agent = await Agent.connect(monitor.port);
  expect(await agent.healthCheck()).toMatchObject({ id: 2 });
  await agent.close();
});

test.each(['-1', '1.5', '1e300', 'null', '"5"', '9007199254740993'])(
  'a size of %s is an invalid message, and changes nothing',
  async (mem) => {
    const agent = await Agent.connect(monitor.port);
    for (const [type, key] of [
      ['UpscaleNotification', 'granted'],
      ['DownscaleRequest', 'target'],
    ])
      agent.socket.send(`{"content":{"${key}":{"cpu":1,"mem":${mem}}},"type":"${type}","id":8}`);
    const invalid = (): true | undefined =>
      agent.all.filter(({ type, id }) => type === 'InvalidMessage' && id === 8).length === 2 || undefined;
    await eventually('two refusals', invalid);
    expect(await agent.healthCheck()).toMatchObject({ type: 'HealthCheck' });
    await agent.close();
  },
);
