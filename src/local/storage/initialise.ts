import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withLinked } from '../../core/abort.ts';
import { withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { findOsUser } from '../../process/os-user.ts';
import { startProcess } from '../../process/process.ts';
import { runOk } from '../../process/run-process.ts';
import { endChild } from '../../process/end.ts';
import { fsyncPath, ownDir, renameDurable } from '../../process/files.ts';
import type { Socket, Tools } from './tools.ts';
import { takeBaseWithWal } from './base-with-wal.ts';
import { finishBase } from './compaction.ts';
import { awaitCompute } from './compute-link.ts';
import { type TimelineDir, scratchPgdata, timelineDir, unfinishedName } from './layout.ts';
import { madeUnfinished } from './made.ts';
import { firstTimeline } from './segments.ts';
import { withDirectory } from '../../process/dir-fd.ts';
import { removeMade } from '../../process/made.ts';

export interface InitialiseOptions {
  readonly storageDir: string;
  readonly tenantId: string;
  readonly timelineId: string;
  /** An existing directory of the OS user for a socket, with a short path. */
  readonly socketDir: string;
  readonly tools: Tools;
  /** Called with the current step, and the bytes done where they are known. */
  readonly onProgress: (step: 'initdb' | 'start' | 'base', bytes?: number) => void;
}

/** Small segments: a start sends and zero-fills at least one, and the receiver always begins at the start of one. */
const walSegmentBytes = 1024 * 1024;
/** Only used while a timeline is created; it is part of the socket's name. */
const scratchPort = 65_432;
const initdbMs = 300_000;
const startMs = 120_000;
const firstNumber = 1;

/** Creates an empty timeline: a new cluster and its first base backup. It gets its name only when it is complete and on
 *  disk.
 *  @throws ComputeError `local_storage`, `os_user`, `internal` with initdb's messages, `deadline` */
export async function initialise(options: InitialiseOptions, signal: AbortSignal): Promise<void> {
  const { storageDir, tenantId, timelineId, tools } = options;
  const dir = timelineDir(storageDir, tenantId, timelineId);
  const fresh = timelineDir(storageDir, tenantId, unfinishedName(timelineId));
  await removeUnfinishedTimeline(dirname(fresh.root), unfinishedName(timelineId), signal);
  ownDir(fresh.bases, 0o755);
  ownDir(fresh.wal, 0o700);
  const scratch = join(fresh.root, 'scratch');
  ownDir(scratch, 0o700);
  options.onProgress('initdb');
  await requireName();
  const data = scratchPgdata(storageDir, { tenantId, timelineId });
  await initdb(tools, data, signal);
  await withServer(options, data, signal, (server, whileItRuns) =>
    firstBase(options, fresh, server, whileItRuns),
  );
  rmSync(scratch, { recursive: true, force: true });
  for (const path of [fresh.wal, fresh.root]) fsyncPath(path);
  renameDurable(fresh.root, dir.root);
  fsyncPath(dirname(dirname(dir.root)));
}

/** Of an earlier attempt, as far as that has made it. */
async function removeUnfinishedTimeline(tenant: string, name: string, signal: AbortSignal): Promise<void> {
  ownDir(tenant, 0o755);
  const made = { name: new RegExp(`^${name.replace('.', String.raw`\.`)}$`), is: madeUnfinished };
  await withDirectory(tenant, (dir) => removeMade(dir, [made], signal));
}

/** In a container the user may be a mere number. initdb ends then, whatever it is told; nothing else of PostgreSQL does.
 *  @throws ComputeError `os_user` */
async function requireName(): Promise<void> {
  const uid = process.getuid?.() ?? 0;
  try {
    await findOsUser(uid);
  } catch (cause) {
    throw new ComputeError(
      'os_user',
      `the user with the number ${uid} has no name here, and initdb requires one`,
      {
        cause,
        hint: 'run as a user of /etc/passwd (in our image 999 or 1000), or mount a passwd file with that number over /etc/passwd',
      },
    );
  }
}

/** With UTF-8 collation by code point, or plain C where the system does not have that locale. */
async function initdb(tools: Tools, dataDir: string, signal: AbortSignal): Promise<void> {
  const command = tools.postgres.sibling('initdb');
  const common = [
    '-D',
    dataDir,
    '-U',
    'cloud_admin',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--no-sync',
    '--no-instructions',
  ];
  const segments = `--wal-segsize=${walSegmentBytes / 1024 / 1024}`;
  const run = (locale: string): Promise<unknown> => {
    const args = [...common, segments, '--data-checksums', `--locale=${locale}`];
    return runOk({ command, args, env: tools.env, cwd: '/', limitMs: initdbMs }, signal);
  };
  try {
    await run('C.UTF-8');
  } catch (error) {
    if (!(error instanceof ComputeError) || !error.message.includes('locale')) throw withNextStep(error);
    rmSync(dataDir, { recursive: true, force: true });
    await run('C').catch((again: unknown) => {
      throw withNextStep(again);
    });
  }
}

/** What initdb lacks, the machine lacks: memory, its segments (`ipcs -m`), files, room. */
function withNextStep(error: unknown): unknown {
  if (!(error instanceof ComputeError) || error.hint !== undefined) return error;
  const hint = 'correct on this machine what initdb names, and start again';
  return new ComputeError(error.code, error.message, { cause: error.cause, hint });
}

/** Runs a server that only this process can reach, for the duration of `work`. */
async function withServer(
  { socketDir, tools, onProgress }: InitialiseOptions,
  dataDir: string,
  signal: AbortSignal,
  work: (server: Socket, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  onProgress('start');
  const settings = {
    listen_addresses: '',
    unix_socket_directories: socketDir,
    unix_socket_permissions: '0700',
    port: scratchPort,
    fsync: 'off',
    wal_level: 'replica',
    max_wal_senders: 5,
    shared_buffers: '16MB',
    // The base backup's checkpoint would remove segments that were not received yet.
    wal_keep_size: '64MB',
  };
  const said: string[] = [];
  const child = await startProcess({
    command: tools.postgres.path,
    args: ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    env: tools.env,
    cwd: '/',
    stdout: 'ignore',
    onStderrLine: (line) => void said.splice(0, Math.max(0, said.push(line) - 20)),
    detached: true,
  });
  const died = new AbortController();
  void child.exited.then(() => died.abort());
  try {
    const server = { dir: socketDir, port: scratchPort };
    await withLinked([signal, died.signal], (either) => work(server, either));
  } catch (error) {
    if (child.exit !== null && !signal.aborted) {
      throw new ComputeError(
        'local_storage',
        `the new cluster's server exited: ${said.slice(-5).join('; ')}`,
        {
          cause: error,
        },
      );
    }
    throw error;
  } finally {
    const steps = [
      { signal: 'SIGINT', graceMs: 20_000, patient: true },
      { signal: 'SIGQUIT', graceMs: 5000 },
      { signal: 'SIGKILL', graceMs: 5000 },
    ] as const;
    await endChild(child, steps, signal, { group: true, stuck: 'postgres_stuck' });
  }
}

async function firstBase(
  { tools, onProgress }: InitialiseOptions,
  dir: TimelineDir,
  server: Socket,
  signal: AbortSignal,
): Promise<void> {
  const { systemId } = await withDeadline(
    "the start of the new cluster's server",
    startMs,
    signal,
    (limited) => awaitCompute(server, limited),
  );
  onProgress('base');
  const fresh = join(dir.bases, `${firstNumber}.new`);
  const onBytes = (bytes: number): void => onProgress('base', bytes);
  const wanted = { tools, server, fresh, walDir: dir.wal, walSegmentBytes, timeline: firstTimeline };
  const taken = await takeBaseWithWal({ ...wanted, slot: false, onBytes }, signal);
  const postgresMajor = tools.postgres.major;
  const facts = { ...taken, systemId, walSegmentBytes, postgresMajor, timeline: firstTimeline };
  finishBase(dir, fresh, firstNumber, facts);
}
