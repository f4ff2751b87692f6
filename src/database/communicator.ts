import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { ComputeError, explained } from '../core/errors.ts';

export interface Proxied {
  readonly status: number;
  readonly contentType: string | null;
  readonly body: Readable;
}

const socketName = 'neon-communicator.socket';
/** The system stores a socket's path in about 108 bytes, and may truncate longer ones silently. */
const maxPathBytes = 100;

/** Sends a request to the metrics service that the neon extension runs inside Postgres.
 *  @param signal also ends the transfer of the body
 *  @throws ComputeError `internal` with the reason, but no path: anybody may ask */
export async function communicatorMetrics(pgdata: string, signal: AbortSignal): Promise<Proxied> {
  const { path, release } = await reachable(join(resolve(pgdata), socketName)).catch((error: unknown) => {
    throw new ComputeError('internal', `connecting to communicator control socket: ${withoutPath(error)}`);
  });
  try {
    const body = await get(path, signal);
    return { status: body.statusCode ?? 502, contentType: body.headers['content-type'] ?? null, body };
  } finally {
    await release();
  }
}

function get(socketPath: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((done, reject) => {
    let connected = false;
    const outgoing = request(
      { socketPath, path: '/autoscaling_metrics', headers: { host: 'localhost' }, agent: false, signal },
      done,
    );
    outgoing.on('socket', (socket) => socket.once('connect', () => (connected = true)));
    outgoing.on('error', (cause) => {
      if (signal.aborted) reject(signal.reason as Error);
      else {
        const what = connected
          ? 'fetching metrics from Postgres metrics service'
          : 'connecting to communicator control socket';
        reject(new ComputeError('internal', `${what}: ${withoutPath(cause)}`));
      }
    });
    outgoing.end();
  });
}

/** The message of a system call's error ends with the path. */
function withoutPath(error: unknown): string {
  const { syscall, code } = error as NodeJS.ErrnoException;
  return syscall === undefined ? explained(error) : `${syscall} ${code}`;
}

/** A path to the socket that is short enough for a connection. */
async function reachable(socket: string): Promise<{ path: string; release: () => Promise<void> }> {
  if (Buffer.byteLength(socket) < maxPathBytes) return { path: socket, release: async () => {} };
  const dir = await mkdtemp(join(tmpdir(), 'compute_ctl.short-socket.'));
  const release = (): Promise<void> => rm(dir, { recursive: true, force: true });
  const path = join(dir, 's');
  try {
    await symlink(socket, path);
    return { path, release };
  } catch (error) {
    await release();
    throw error;
  }
}
