import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { buildBranch } from '../../../src/local/branches/build.ts';
import { branchDir } from '../../../src/local/branches/tree.ts';
import { portsOfNode, portsOfUp } from '../../../src/local/node-ports.ts';
import { type NodePorts, nodeDir, readNode, writeNode } from '../../../src/local/nodes.ts';
import { PortHolds } from '../../../src/local/port-holds.ts';
import { ownDir } from '../../../src/process/files.ts';
import { choosePorts, preferred } from '../../../src/local/ports.ts';
import { createState, localDir, stateOf } from '../../../src/local/state.ts';

const home = mkdtempSync(join(tmpdir(), 'ports-'));
afterAll(() => rmSync(home, { recursive: true }));

let holds = new PortHolds();
afterEach(async () => {
  await holds.release();
  holds = new PortHolds();
});

const notAsked = { port: null, httpPort: null, newPorts: false };

/** A directory whose computes do not run, so that all of their ports are free. */
async function stopped(name: string): Promise<{ dir: ReturnType<typeof localDir>; main: number[] }> {
  const dir = localDir(join(home, name));
  ownDir(dir.root, 0o700);
  const { ports } = createState(dir, await choosePorts(preferred));
  return { dir, main: Object.values(ports) };
}

function putNode(dir: ReturnType<typeof localDir>, name: string, ports: NodePorts): void {
  ownDir(nodeDir(dir, name).root, 0o700);
  writeNode(dir, { version: 1, name, computeId: name, mode: 'replica', ports });
}

test('a node takes no port of a primary that is starting again, and none of another node that is stopped', async () => {
  const { dir, main } = await stopped('stopped');
  const first = await portsOfNode(dir, 'first', null, notAsked, holds);
  putNode(dir, 'first', first);
  const second = Object.values(
    await portsOfNode(dir, 'second', null, { ...notAsked, newPorts: true }, holds),
  );
  const all = [...main, ...Object.values(first), ...second];
  expect(new Set(all).size).toBe(all.length);
});

test('a node keeps its ports, except those that became the primary’s meanwhile', async () => {
  const { dir, main } = await stopped('kept');
  const [postgres = 0, , internalHttp = 0] = main;
  const first = await portsOfNode(dir, 'first', null, notAsked, holds);
  expect(await portsOfNode(dir, 'first', first, notAsked, holds)).toEqual(first);
  const clash = { ...first, internalHttp };
  const moved = await portsOfNode(dir, 'first', clash, notAsked, holds);
  expect(moved).toMatchObject({ postgres: first.postgres, externalHttp: first.externalHttp });
  expect(main).not.toContain(moved.internalHttp);
  await expect(portsOfNode(dir, 'first', first, { ...notAsked, port: postgres }, holds)).rejects.toThrow(
    `port ${postgres} is a port of the compute of \`up\``,
  );
});

test('a port of a node that another program has taken is named, before anything starts', async () => {
  const { dir } = await stopped('taken');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    await expect(portsOfNode(dir, 'first', null, { ...notAsked, port }, holds)).rejects.toThrow(
      `another program uses port ${port}`,
    );
  } finally {
    server.close();
  }
});

test('computes of any kind that start at the same moment never choose the same port', async () => {
  const { dir, main } = await stopped('together');
  const each = Array.from({ length: 8 }, () => new PortHolds());
  const wanted = { from: null, keep: null, expiresAt: null, listenAll: false, ports: {} };
  ownDir(dir.branches, 0o700);
  // It runs.
  await portsOfUp(dir, stateOf(dir).ports, notAsked, holds);
  try {
    const chosen = await Promise.all([
      ...each.slice(0, 4).map((one, at) => portsOfNode(dir, `node-${at}`, null, notAsked, one)),
      ...['a', 'b'].map(async (name) => (await buildBranch(dir, { ...wanted, name })).ports),
      // The first start of another directory.
      ...each.slice(4).map((one, at) => portsOfUp(localDir(join(home, `other-${at}`)), null, notAsked, one)),
    ]);
    const all = [...main, ...chosen.flatMap((ports) => Object.values(ports))];
    expect(new Set(all).size).toBe(all.length);
  } finally {
    for (const one of each) await one.release();
  }
});

test('a port that another compute-local holds is refused before anything starts, and free when that one has ended', async () => {
  const { dir, main } = await stopped('held');
  const other = new PortHolds();
  const { ports } = stateOf(dir);
  expect(await other.take(ports.postgres)).toBe(true);
  await expect(portsOfUp(dir, ports, notAsked, holds)).rejects.toThrow(
    `another compute-local uses port ${ports.postgres}, which is for Postgres`,
  );
  await other.release();
  expect(Object.values(await portsOfUp(dir, ports, notAsked, holds))).toEqual(main);
});

test('a port that no client knows is another one when somebody has it: a second directory starts beside the first', async () => {
  const { dir } = await stopped('second');
  const other = new PortHolds();
  const { ports } = stateOf(dir);
  await other.take(ports.pageserver);
  const server = createServer().listen(ports.internalHttp, '127.0.0.1');
  await once(server, 'listening');
  const now = await portsOfUp(dir, ports, notAsked, holds);
  server.close();
  await other.release();
  const { pageserver, internalHttp, ...others } = ports;
  expect(now).toMatchObject(others);
  expect(new Set([...Object.values(now), pageserver, internalHttp]).size).toBe(9);
});

test('a branch takes no port of another compute of its directory, nor of the nodes of one', async () => {
  const { dir } = await stopped('branches');
  ownDir(dir.branches, 0o700);
  const wanted = { from: null, keep: null, expiresAt: null, listenAll: false, ports: {} };
  const a = await buildBranch(dir, { ...wanted, name: 'a' });
  const own = branchDir(dir, 'a');
  putNode(own, 'replica', await portsOfNode(own, 'replica', null, notAsked, holds));
  for (const port of [a.ports.postgres, readNode(own, 'replica')?.ports.postgres ?? 0])
    await expect(buildBranch(dir, { ...wanted, name: 'b', ports: { postgres: port } })).rejects.toThrow(
      `port ${port} is a port of "`,
    );
  await expect(
    portsOfUp(dir, stateOf(dir).ports, { ...notAsked, port: a.ports.postgres }, holds),
  ).rejects.toThrow('is a port of "a"');
});
