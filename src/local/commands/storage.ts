import { existsSync } from 'node:fs';
import { never } from '../../core/abort.ts';
import { ComputeError, codeOf, explained, hintOf, inline } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { writePidFile } from '../../process/pid-file.ts';
import { onSignals } from '../../process/signals.ts';
import type { StorageEvent } from '../events.ts';
import { endLeftoverCompute } from '../leftovers.ts';
import { serveOptions } from '../serve-options.ts';
import { refuseLoss } from '../own.ts';
import { type LocalDir, type LocalState, stateOf, writeState } from '../state.ts';
import type { Copied } from '../storage/copying.ts';
import type { GivenLimits } from '../storage/disk.ts';
import { initialise } from '../storage/initialise.ts';
import { type HeldTimeline, currentBase, timelineDir } from '../storage/layout.ts';
import { serveStorage } from '../storage/serve.ts';
import { type Tools, findTools } from '../storage/tools.ts';

export interface StorageOptions {
  readonly pgBinDir: string | null;
  readonly compactAtBytes: number;
  /** Limits of the free space; null: the default for the size of the disk. */
  readonly warnFree: number | null;
  readonly stopFree: number | null;
}

/** Errors of stdout are ignored: when the reader has ended, stdin ends too. */
const tell = (event: StorageEvent): void => void process.stdout.write(`${JSON.stringify(event)}\n`);

/** Why the daemon stops. */
type Reason = 'signal' | 'parent';

/** The storage daemon: serves one timeline until a signal, or until its parent has ended (stdin ends). */
export async function storageDaemon(dir: LocalDir, options: StorageOptions, log: Log): Promise<number> {
  process.stdout.on('error', () => {});
  const stop = new AbortController();
  const asked = stopRequests(stop);
  try {
    const state = stateOf(dir);
    const tools = await toolsFor(dir, state, options, stop.signal);
    await ensureTimeline(dir, state, tools, stop.signal);
    const maxWalBytes = options.compactAtBytes;
    const diskLimits = limitsOf(options);
    const onCopy = (copied: Copied): void => tell({ event: 'copying', ...copied });
    const parts = { dir, state, tools, log, maxWalBytes, diskLimits, tell, onCopy };
    const storage = await serveStorage(serveOptions(parts), stop.signal);
    // Also when it was not `up` that started it, so that `status` and `stop` find it.
    writePidFile(dir.storagePid, process.pid);
    log.info({ ...state.ports, dir: dir.root }, 'the local storage is ready');
    tell({ event: 'ready' });
    const reason = await asked;
    log.info(
      reason === 'signal' ? 'stopping because of a signal' : 'stopping because compute-local up has ended',
    );
    // No other process would stop the compute, and without its storage it cannot commit.
    if (reason === 'parent') await endLeftoverCompute(dir, state, log, never);
    await storage.close();
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 0;
    log.error(`the local storage failed: ${explained(error)}`);
    tell({ event: 'failed', message: inline(error), code: codeOf(error), hint: hintOf(error) });
    return 1;
  }
}

/** @throws ComputeError `usage` when writes would be stopped before the warning */
export function limitsOf({ warnFree, stopFree }: Pick<StorageOptions, 'warnFree' | 'stopFree'>): GivenLimits {
  if (warnFree !== null && stopFree !== null && stopFree > warnFree)
    throw new ComputeError('usage', '--stop-free must not be larger than --warn-free', {
      hint: 'the warning comes first: give the larger size with --warn-free',
    });
  return { warnBytes: warnFree, stopBytes: stopFree };
}

function stopRequests(stop: AbortController): Promise<Reason> {
  return new Promise((resolve) => {
    const because = (reason: Reason) => (): void => {
      stop.abort();
      resolve(reason);
    };
    const bySignal = because('signal');
    onSignals((_, meaning) => void (meaning === 'ignore' || bySignal()));
    process.stdin.on('end', because('parent')).on('error', because('parent')).resume();
  });
}

/** An existing timeline requires the PostgreSQL version that created it. */
export async function toolsFor(
  dir: LocalDir,
  ids: HeldTimeline | null,
  { pgBinDir }: Pick<StorageOptions, 'pgBinDir'>,
  signal: AbortSignal,
): Promise<Tools> {
  const files = ids === null ? null : timelineDir(dir.storage, ids.tenantId, ids.timelineId);
  const major = files === null ? null : (currentBase(files)?.postgresMajor ?? null);
  return findTools(pgBinDir, major, signal);
}

async function ensureTimeline(
  dir: LocalDir,
  state: LocalState,
  tools: Tools,
  signal: AbortSignal,
): Promise<void> {
  const { tenantId, timelineId } = state;
  const files = timelineDir(dir.storage, tenantId, timelineId);
  refuseLoss(dir, state);
  // Written once the timeline is there: from then on a missing one is a loss.
  const remember = (): void => {
    const systemId = currentBase(files)?.systemId;
    if (systemId !== undefined && state.systemId !== systemId) writeState(dir, { ...state, systemId });
  };
  if (existsSync(files.root)) return remember();
  const onProgress = (step: 'initdb' | 'start' | 'base', bytes?: number): void =>
    tell({ event: 'progress', step, bytes: bytes ?? null });
  const socketDir = dir.run;
  await initialise({ storageDir: dir.storage, tenantId, timelineId, socketDir, tools, onProgress }, signal);
  remember();
}
