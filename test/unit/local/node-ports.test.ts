import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { portsOfNode } from '../../../src/local/node-ports.ts';
import { type NodePorts, nodeDir, writeNode } from '../../../src/local/nodes.ts';
import { ownDir } from '../../../src/process/files.ts';
import { choosePorts, preferred } from '../../../src/local/ports.ts';
import { createState, localDir } from '../../../src/local/state.ts';

const home = mkdtempSync(join(tmpdir(), 'ports-'));
afterAll(() => rmSync(home, { recursive: true }));

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
  const first = await portsOfNode(dir, 'first', null, notAsked);
  putNode(dir, 'first', first);
  const second = Object.values(await portsOfNode(dir, 'second', null, { ...notAsked, newPorts: true }));
  const all = [...main, ...Object.values(first), ...second];
  expect(new Set(all).size).toBe(all.length);
});

test('a node keeps its ports, except those that became the primary’s meanwhile', async () => {
  const { dir, main } = await stopped('kept');
  const [postgres = 0, , internalHttp = 0] = main;
  const first = await portsOfNode(dir, 'first', null, notAsked);
  expect(await portsOfNode(dir, 'first', first, notAsked)).toEqual(first);
  const clash = { ...first, internalHttp };
  const moved = await portsOfNode(dir, 'first', clash, notAsked);
  expect(moved).toMatchObject({ postgres: first.postgres, externalHttp: first.externalHttp });
  expect(main).not.toContain(moved.internalHttp);
  await expect(portsOfNode(dir, 'first', first, { ...notAsked, port: postgres })).rejects.toThrow(
    `port ${postgres} is a port of the compute of \`up\``,
  );
});

test('a port of a node that another program has taken is named, before anything starts', async () => {
  const { dir } = await stopped('taken');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    await expect(portsOfNode(dir, 'first', null, { ...notAsked, port })).rejects.toThrow(
      `another program uses port ${port}`,
    );
  } finally {
    server.close();
  }
});
