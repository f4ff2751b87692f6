import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { type Accepted, readAccepted, writeAccepted } from '../../../../src/local/desired/accepted.ts';
import { putInForce, restart } from '../../../../src/local/desired/configure.ts';
import { password } from '../../../../src/local/desired/password.ts';
import { nodeDir, writeNode } from '../../../../src/local/nodes.ts';
import { specFor } from '../../../../src/local/roles.ts';
import {
  type LocalDir,
  type LocalState,
  createState,
  localDir,
  readState,
  withPassword,
} from '../../../../src/local/state.ts';
import { ownDir } from '../../../../src/process/files.ts';
import { writePidFile } from '../../../../src/process/pid-file.ts';
import { accepted } from './support.ts';

let dir: LocalDir;
let state: LocalState;
const closing: (() => void)[] = [];
beforeEach(() => {
  dir = localDir(mkdtempSync(join(tmpdir(), 'force-')));
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
  rmSync(dir.root, { recursive: true });
});

/** Answers every request with 200 and notes it. @returns its port */
async function answering(body: unknown, note: (what: string) => void): Promise<number> {
  const server = createServer((request, response) => {
    note(`${request.method} ${request.url}`);
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  server.listen(0, '127.0.0.1');
  closing.push(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** With nothing behind the ports that are not given. */
const created = (externalHttp = 1): LocalState =>
  createState(dir, {
    postgres: 1,
    externalHttp,
    internalHttp: 1,
    pageserver: 1,
    safekeeper: 1,
    controlPlane: 1,
  });

test('a replica that is asked to fetch its spec gets what was accepted, and not what there was before', async () => {
  const asked: string[] = [];
  state = created(await answering({ status: 'running' }, (what) => asked.push(what)));
  let fetched: Accepted | null | undefined;
  const internalHttp = await answering({}, () => {
    fetched = readAccepted(dir);
  });
  const ports = { postgres: 1, externalHttp: 1, internalHttp };
  const own = nodeDir(dir, 'replica');
  ownDir(own.root, 0o755);
  writeNode(dir, { version: 1, name: 'replica', computeId: 'replica', mode: 'replica', ports });
  writePidFile(own.upPid, process.pid);
  const wanted = accepted({ settings: { work_mem: '64MB' } });
  const writer = { dir, state, socket: { dir: dir.run, port: 1 } };
  await putInForce(dir, writer, { wanted, before: null }, () => writeAccepted(dir, wanted), never);
  expect(asked).toEqual(['POST /configure']);
  expect(fetched?.settings).toEqual({ work_mem: '64MB' });
});

test('app gets a new password, which the next start sets although the storage has read the former one', async () => {
  state = created();
  let url = '';
  const answer = {
    json: true,
    progress: () => {},
    result: (_value: object, text: string) => (url = text),
  };
  expect(await password(dir, 'app', answer)).toBe(0);
  const now = readState(dir);
  expect(now).toEqual({ ...state, password: now?.password, passwordVerifier: now?.passwordVerifier });
  expect(now?.password).not.toBe(state.password);
  expect(new URL(url).password).toBe(now?.password);
  const spec = JSON.stringify(specFor(dir, withPassword(dir, state), state.computeId));
  expect(spec).toContain(JSON.stringify(now?.passwordVerifier));
  expect(spec).not.toContain(JSON.stringify(state.passwordVerifier));
  await expect(password(dir, 'apq', answer)).rejects.toMatchObject({
    code: 'not_found',
    message: 'there is no role "apq" from a compute.json (did you mean "app"?)',
  });
});

test('a restart does not wait for a compute that nobody starts again', async () => {
  const port = await answering(
    { status: 'running', start_time: '2027-01-01T00:00:00Z', lsn: '0/1' },
    () => {},
  );
  state = created(port);
  const writer = { dir, state, socket: { dir: dir.run, port: 1 } };
  await expect(restart(writer, never)).rejects.toMatchObject({ code: 'conflict' });
});
