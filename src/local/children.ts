import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { never } from '../core/abort.ts';
import { ComputeError } from '../core/errors.ts';
import { formatUrl } from '../pg/libpq-write.ts';
import { ownProgram } from '../process/own-program.ts';
import { type RunningProcess, startProcess } from '../process/process.ts';
import { endChild, termThenKill } from '../process/end.ts';
import { systemIdOf } from './claim.ts';
import { untilRunning } from './compute-api.ts';
import { showCopied } from './copied.ts';
import { readAccepted } from './desired/accepted.ts';
import { afterStart } from './desired/after-start.ts';
import { restartBehind } from './desired/behind.ts';
import { environmentForOwnPrograms } from './environment.ts';
import { type StorageEvent, parseEvent } from './events.ts';
import { dropFenced } from './next/places.ts';
import type { Kept } from './supervisor.ts';
import { ownerOfPgdata } from './pgdata.ts';
import { openLog } from './prepare.ts';
import { writePidFile } from '../process/pid-file.ts';
import { exitReport } from './exit-report.ts';
import type { Report } from './report.ts';
import { reportTrouble } from './show-troubles.ts';
import type { GivenLimits } from './storage/disk.ts';
import { setAside } from './set-aside.ts';
import { type LocalDir, type LocalState, connectionUrl, withPassword } from './state.ts';
import { type Tools, binDirOf } from './storage/tools.ts';

export interface UpContext {
  readonly dir: LocalDir;
  readonly state: LocalState;
  readonly tools: Tools;
  readonly compactAtBytes: number;
  readonly diskLimits: GivenLimits;
  readonly report: Report;
  /** Aborts at the second signal: children are killed at once. */
  readonly escalate: AbortSignal;
}

const startLimitSeconds = 600;
/** How long compute_ctl shows why a start failed. Short, since `up` asks several times a second. */
const exitGraceMs = 2000;

async function startNode(
  context: UpContext,
  name: string,
  args: readonly string[],
  pidFile: string,
  options: { env?: NodeJS.ProcessEnv; piped: boolean },
): Promise<RunningProcess> {
  const log = openLog(context.dir, name);
  try {
    const program = ownProgram(name === 'compute_ctl' ? name : 'compute-local');
    const child = await startProcess({
      ...program,
      args: [...program.args, ...args],
      env: { ...environmentForOwnPrograms(process.env), ...options.env },
      cwd: '/',
      stdin: options.piped ? 'pipe' : 'ignore',
      stdout: options.piped ? 'pipe' : log.fd,
      stderr: log.fd,
      // Ctrl-C in the terminal must not reach the children: `up` stops them in the right order.
      detached: true,
    });
    try {
      writePidFile(pidFile, child.pid);
    } catch (error) {
      // Nobody would end it.
      await endChild(child, termThenKill(5000), never);
      throw error;
    }
    return child;
  } finally {
    closeSync(log.fd);
  }
}

/** What makes the next data directory: see next/. It ends with this process. */
export function nextChild(
  context: UpContext,
  mostBytes: number | null,
  onlyAdvance: boolean,
): Promise<RunningProcess> {
  const { dir, tools } = context;
  const args = [
    'next',
    `--dir=${dir.root}`,
    `--pg-bin-dir=${binDirOf(tools)}`,
    ...(mostBytes === null ? [] : [`--prepare-at-most=${mostBytes}`]),
    ...(onlyAdvance ? ['--only-advance'] : []),
    ...freeArgs(context),
  ];
  return startNode(context, 'next', args, dir.nextPid, { piped: true });
}

const freeArgs = ({ diskLimits: { warnBytes, stopBytes } }: UpContext): string[] => [
  ...(warnBytes === null ? [] : [`--warn-free=${warnBytes}`]),
  ...(stopBytes === null ? [] : [`--stop-free=${stopBytes}`]),
];

export function storageChild(context: UpContext, onReady: () => void): Kept {
  const { dir, tools, report } = context;
  const args = [
    'storage',
    `--dir=${dir.root}`,
    `--pg-bin-dir=${binDirOf(tools)}`,
    `--compact-at=${context.compactAtBytes}`,
    ...freeArgs(context),
  ];
  return {
    name: 'the storage',
    start: () => startNode(context, 'storage', args, dir.storagePid, { piped: true }),
    ready: (child, signal) => untilReady(child.stdout as Readable, signal, (event) => show(event, report)),
    stop: (child) => stopNicely(child, 20_000, context.escalate),
    onReady(restart) {
      if (restart) report.event('storage-restarted', {}, 'The storage is running again.');
      else onReady();
    },
    onExit: exitReport({ event: 'storage-exited', who: 'The storage' }, report),
  };
}

function show(event: StorageEvent, report: Report): void {
  if (event.event === 'trouble' || event.event === 'trouble-over') reportTrouble(event, report);
  if (event.event === 'copying') showCopied(event, report);
  if (event.event !== 'progress') return;
  const { step, bytes } = event;
  if (step === 'initdb') report.progress('Creating a new, empty cluster ...', '');
  if (step === 'start') report.progress('Starting the new cluster for its first base backup ...', '');
  if (step === 'base')
    report.progress(
      'Taking the first base backup ...',
      bytes === null ? '' : `${(bytes / 1e6).toFixed(0)} MB`,
    );
}

/** Reads the daemon's events until `ready`, and continues to read, so that its pipe never fills.
 *  @throws ComputeError with the daemon's own reason */
function untilReady(
  stdout: Readable,
  signal: AbortSignal,
  onEvent: (event: StorageEvent) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: stdout });
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    lines.on('line', (line) => {
      const event = parseEvent(line);
      if (event === null) return;
      onEvent(event);
      if (event.event === 'ready') resolve();
      if (event.event === 'failed') {
        const hint = event.hint === null ? {} : { hint: event.hint };
        reject(new ComputeError(event.code, event.message, hint));
      }
    });
  });
}

export function computeChild(context: UpContext, onReady: () => void): Kept {
  const { dir, state, tools, report } = context;
  const { ports } = state;
  const args = (): string[] => [
    `--control-plane-uri=http://127.0.0.1:${ports.controlPlane}`,
    `--compute-id=${state.computeId}`,
    `--pgdata=${dir.pgdata}`,
    // Only the main compute sleeps.
    ...(state.front === true ? [`--prepared-pgdata=${dir.next}`] : []),
    `--connstr=${formatUrl({ user: 'cloud_admin', host: dir.run, port: ports.postgres, database: 'postgres' })}`,
    `--pgbin=${tools.postgres.path}`,
    `--external-http-host=${state.listenAll === true ? '::' : 'localhost'}`,
    `--external-http-port=${ports.externalHttp}`,
    `--storage-status-uri=http://127.0.0.1:${ports.controlPlane}/status`,
    '--internal-http-host=localhost',
    `--internal-http-port=${ports.internalHttp}`,
    '--dev', // a pgbouncer on this machine is somebody else's
    `--start-timeout=${startLimitSeconds}`,
    `--exit-grace-ms=${exitGraceMs}`,
    // Earlier versions left data directories without the marker.
    ...(ownerOfPgdata(dir.pgdata, systemIdOf(dir, state)) === 'former' ? ['--wipe-foreign-pgdata'] : []),
    // It is started when the environment says AUTOSCALING.
    '--vm-monitor-addr=127.0.0.1:10301',
  ];
  const env = { NEON_CONTROL_PLANE_TOKEN: state.controlPlaneToken };
  return {
    name: 'compute_ctl',
    start: async () => {
      // The storage would only answer that there is no spec.
      const wanted = readAccepted(dir);
      if (wanted !== null) await restartBehind(dir, state, wanted, report);
      if (state.front === true) dropFenced(dir, state);
      const aside = setAside(dir);
      if (aside.length > 0)
        report.event(
          'set-aside',
          { names: aside.join(', ') },
          `Moved from ${dir.pgdata} to from-pgdata, since every start wipes the data directory: ${aside.join(', ')}`,
        );
      return startNode(context, 'compute_ctl', args(), dir.computePid, { env, piped: false });
    },
    async ready(_child, signal) {
      await untilRunning(state, startLimitSeconds * 1000, signal);
      await afterStart(dir, state, report, signal);
    },
    stop: (child) => stopNicely(child, 110_000, context.escalate),
    onReady(restart) {
      if (restart)
        report.event(
          'compute-restarted',
          { url: connectionUrl(withPassword(dir, state)) },
          'The compute is running again.',
        );
      else onReady();
    },
    onExit: exitReport({ event: 'compute-exited', who: 'The compute' }, report),
  };
}

/** SIGTERM, and SIGKILL after `graceMs`. When the stop is escalated: a second SIGTERM and a short grace time. */
async function stopNicely(child: RunningProcess, graceMs: number, escalate: AbortSignal): Promise<void> {
  const steps = [
    { signal: 'SIGTERM', graceMs, patient: true },
    { signal: 'SIGTERM', graceMs: 7000 },
    { signal: 'SIGKILL', graceMs: 5000 },
  ] as const;
  if (child.exit === null) await endChild(child, steps, escalate);
}
