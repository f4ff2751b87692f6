// The embedded storage of compute-local, without the compute that `up` runs with it: for those who start computes of their own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Resolves with the first line of a stream that `wanted` accepts.
 *  @param {NodeJS.ReadableStream} stream  @param {(text: string) => boolean} wanted
 *  @returns {Promise<string>} @throws with all lines, when the stream ends before */
export function lineOf(stream, wanted) {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: stream });
    const said = [];
    lines.on('line', (text) => {
      said.push(text);
      if (wanted(text)) resolve(text);
    });
    lines.once('close', () =>
      reject(new Error(`ended before it said what was waited for:\n${said.join('\n')}`)),
    );
  });
}

const usualPorts = [25_432, 25_433, 25_434, 25_435, 3080, 3081];

/** compute-local prefers these ports, and takes other ones where they are in use. Where two begin at the same moment, both find
 *  them free; while they are held, each gets ports of its own.
 *  @returns {Promise<() => void>} releases them */
export async function holdUsualPorts() {
  const held = usualPorts.map(async (port) => {
    const server = createServer();
    await new Promise((resolve) => {
      // In use by somebody else: as good.
      server.once('error', resolve).listen(port, '127.0.0.1', () => resolve(null));
    });
    return server;
  });
  const servers = await Promise.all(held);
  return () => servers.forEach((server) => server.close());
}

const isReady = (text) => text.includes('"ready"');

/** @param {readonly string[]} local the command that starts compute-local  @param {number} limitMs of each program */
const starter =
  ([command, ...before], limitMs) =>
  (...args) =>
    spawn(command, [...before, ...args], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, NO_COLOR: '1' },
      timeout: limitMs,
      killSignal: 'SIGKILL',
    });

/** Makes a storage in an empty directory, and serves it until `work` has ended.
 *  @template T
 *  @param {readonly string[]} local the command that starts compute-local
 *  @param {string} dir
 *  @param {(state: object, postgres: string) => Promise<T>} work with the contents of local.json, and the path of the program postgres
 *  @param {number} [limitMs] for each of the two programs
 *  @returns {Promise<T>} @throws when there is no PostgreSQL, with the words of compute-local */
export async function withStorage(local, dir, work, limitMs = 600_000) {
  const start = starter(local, limitMs);
  const release = await holdUsualPorts();
  const up = start('up', '--dir', dir, '--json');
  await lineOf(up.stdout, isReady).finally(release);
  up.kill('SIGTERM');
  await once(up, 'exit');
  const state = JSON.parse(readFileSync(join(dir, 'local.json'), 'utf8'));
  const [postgres] = readFileSync(join(dir, 'pgdata/postmaster.opts'), 'utf8').split(' ');
  const storage = start('storage', '--dir', dir, '--pg-bin-dir', join(postgres, '..'));
  try {
    await lineOf(storage.stdout, isReady);
    return await work(state, postgres);
  } finally {
    storage.stdin.end();
    if (storage.exitCode === null) await once(storage, 'exit');
  }
}

/** The control plane of the storage, for `-p`. */
export const controlPlaneOf = ({ ports }) => `http://127.0.0.1:${ports.controlPlane}`;

/** The arguments and the environment of a compute_ctl on it, in `<dir>/pgdata`; without where its spec is from. */
export function computeOf(state, dir, postgres) {
  const { ports } = state;
  const socket = encodeURIComponent(join(dir, 'run'));
  return {
    args: [
      ...['-i', state.computeId, '-D', join(dir, 'pgdata')],
      ...['-C', `postgresql://cloud_admin@${socket}:${ports.postgres}/postgres`, '-b', postgres],
      ...['--external-http-port', String(ports.externalHttp)],
      ...['--internal-http-port', String(ports.internalHttp)],
    ],
    env: { PATH: process.env['PATH'], NEON_CONTROL_PLANE_TOKEN: state.controlPlaneToken },
  };
}
