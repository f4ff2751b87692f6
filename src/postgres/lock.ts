import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { type Server, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { canonicalPath } from './path.ts';

export interface PgdataLock {
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  /** RFC 3339. */
  readonly since: string;
}

/** Takes the lock that prevents a second compute_ctl from using a data directory; the directory need not exist. The lock
 *  is a listening socket, so the kernel releases it when its holder ends, in any way. The file `<pgdata>.lock` only names
 *  the holder. On Linux the socket has an abstract name (no file) and belongs to the network namespace: the lock does not
 *  work between containers that share a volume but not a network.
 *  @throws ComputeError `pgdata_locked` naming the holder's pid */
export async function lockPgdata(pgdata: string): Promise<PgdataLock> {
  const path = await canonicalPath(pgdata);
  const name = `compute_ctl/${createHash('sha256').update(path).digest('hex')}`;
  const server =
    process.platform === 'linux'
      ? await listen(`\0${name}`)
      : await listenOnFile(join(tmpdir(), `${name.replace('/', '-').slice(0, 40)}.sock`));
  const note = `${path}.lock`;
  if (server === null) throw await lockedError(pgdata, note);
  server.unref();
  server.on('connection', (socket) => socket.destroy());
  const holder: Holder = { pid: process.pid, since: new Date().toISOString() };
  // The lock works without this file too: often we may not write to the directory above a mounted volume.
  await writeFile(note, `${JSON.stringify(holder)}\n`).catch(() => {});
  let released = false;
  return {
    async release() {
      if (released) return;
      released = true;
      await rm(note, { force: true }).catch(() => {});
      server.close();
      await once(server, 'close');
    },
  };
}

/** Null when another process already listens there. */
async function listen(address: string): Promise<Server | null> {
  const server = createServer();
  try {
    server.listen(address);
    await once(server, 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return null;
    throw error;
  }
}

/** A socket file remains after its holder has ended: when no process answers there, it is removed. */
async function listenOnFile(path: string): Promise<Server | null> {
  const server = await listen(path);
  if (server !== null || (await answers(path))) return server;
  await rm(path, { force: true });
  return listen(path);
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function lockedError(pgdata: string, note: string): Promise<ComputeError> {
  const holder = readHolder(await readFile(note, 'utf8').catch(() => ''));
  const who =
    holder === null ? 'another compute_ctl' : `compute_ctl with pid ${holder.pid} (since ${holder.since})`;
  return new ComputeError('pgdata_locked', `the data directory ${pgdata} is in use by ${who}`, {
    hint: 'stop it, or use another data directory',
  });
}

function readHolder(text: string): Holder | null {
  try {
    const { pid, since } = JSON.parse(text) as Partial<Holder>;
    return typeof pid === 'number' && typeof since === 'string' ? { pid, since } : null;
  } catch {
    return null;
  }
}
