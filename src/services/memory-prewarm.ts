import { never } from '../core/abort.ts';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Log, LogFormat } from '../core/log.ts';
import { writeLine } from '../core/stderr.ts';
import { jsonSink, textSink } from '../postgres/log-sink.ts';
import { canonicalPath } from '../postgres/path.ts';
import { preparePgdata } from '../postgres/prepare.ts';
import { stopLeftover } from '../postgres/leftover.ts';
import type { PostgresBin } from '../postgres/postgres-bin.ts';
import { hasNeonLibrary } from '../postgres/sync-support.ts';
import { startPostgres } from '../postgres/postgres.ts';
import { runOk } from '../process/run-process.ts';

export interface PrewarmOptions {
  /** The compute's data directory; the temporary one is created beside it and removed. */
  readonly pgdata: string;
  readonly bin: PostgresBin;
  readonly env: NodeJS.ProcessEnv;
  readonly cgroup: string | null;
  readonly log: Log;
  readonly logFormat: LogFormat;
}

const initdbMs = 60_000;
const readyMs = 60_000;
/** Starts an empty Postgres with large shared buffers and stops it again, so that the machine's memory and the programs
 *  are ready when the first spec arrives. When this returns or throws, its processes and files are gone.
 *  @param signal ends it early */
export async function prewarm(options: PrewarmOptions, signal: AbortSignal): Promise<void> {
  const { pgdata, log } = options;
  const startMs = monotonicMs();
  const home = await canonicalPath(`${pgdata}.warmup`);
  const path = join(home, 'data');
  await stopLeftover(path, { fastMs: 0, immediateMs: 2000, killMs: 5000 }, log, signal);
  // initdb requires an empty directory, and this one has the marker in it.
  const prepared = await preparePgdata(home, signal);
  try {
    await initialise(options, path, signal);
    await startAndStop(options, path, signal);
    log.info(`prewarm of the memory took ${elapsedMs(startMs)} ms`);
  } finally {
    // After initdb was killed, its child may still write for a moment.
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    await prepared.cleanUp(never);
  }
}

async function initialise(options: PrewarmOptions, path: string, signal: AbortSignal): Promise<void> {
  const { bin, env } = options;
  const args = ['--pgdata', path, '--no-sync', '--auth', 'reject'];
  const command = { command: bin.sibling('initdb'), args, env, cwd: '/', limitMs: initdbMs };
  await runOk(command, signal);
  const conf = [
    'shared_buffers = 65536',
    `port = ${await freePort()}`,
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    ...((await hasNeonLibrary(options.bin, options.env, signal))
      ? ["shared_preload_libraries = 'neon'"]
      : []),
  ];
  const file = join(path, 'postgresql.conf');
  await writeFile(file, `${conf.join('\n')}\n`);
}

async function startAndStop(options: PrewarmOptions, path: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const sink =
    options.logFormat === 'json'
      ? jsonSink(writeLine, { service: 'memory-prewarm' })
      : textSink((line) => options.log.info(`prewarm ${line}`));
  const postgres = await startPostgres({ ...options, pgdata: path, authToken: null, sink });
  try {
    await postgres.waitReady(readyMs, signal);
  } finally {
    await postgres.stop('immediate', { fastMs: 0, immediateMs: 2000 }, never);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new ComputeError('internal', 'a listening socket has no port'));
      });
    });
  });
}
