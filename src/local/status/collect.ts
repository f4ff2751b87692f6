import { hintOf, inline } from '../../core/errors.ts';
import { listDamaged } from '../branches/tree.ts';
import { mainName, primaryInForce } from '../names.ts';
import { asState, nodeDir, nodeNames, readNode } from '../nodes.ts';
import { inspectDir } from '../own.ts';
import { readPhase } from '../phase.ts';
import { type LocalDir, type LocalState, commandFor, readState } from '../state.ts';
import { type Called, calledMain } from './called.ts';
import { type KnownCompute, computeFacts } from './compute-facts.ts';
import { type Size, type Sizer, Sizes, freeBytes, sum } from './disk.ts';
import { judge } from './judge.ts';
import { processOf } from './process-facts.ts';
import type { DiskReport, Problem, State, StatusReport } from './schema.ts';
import { storageFacts } from './storage-facts.ts';

/** Looks at everything at once, each question with its own limit.
 *  @param size for who looks often: counting takes longest
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function collectStatus(
  dir: LocalDir,
  size: Sizer = eachOnce(),
  called: Called = calledMain(dir),
): Promise<StatusReport> {
  const found = inspectDir(dir, 'stop');
  const up = processOf(dir.upPid);
  const common = { dir: dir.root, pid: up?.pid ?? null, since: up?.since ?? null };
  if (found.kind === 'new') return { ...common, ...nothing('absent') };
  const { state, problems } = attempt(() => readState(dir), dir.state);
  if (state === null) return { ...common, ...withoutState(dir, problems) };
  const { computes, primary, unreadable } = knownComputes(dir, state, called.name);
  const hasWriter = readPhase(dir.upPid)?.phase === 'ready';
  const [storage, all, total, free, ...ahead] = await Promise.all([
    storageFacts(dir, state, { hasWriter, size }),
    Promise.all(computes.map((one) => computeFacts(one, size))),
    size(dir.root),
    freeBytes(dir.root),
    ...[dir.next, dir.nextFresh, dir.nextTemplate].map((path) => size(path)),
  ]);
  if (storage.unreadable !== null) unreadable.push(unreadableProblem('storage', storage.unreadable, null));
  const verdict = judge({
    ...{ dir, state, called, primary, computes: all, storage, unreadable },
    nowMs: Date.now(),
  });
  const disk = diskReport(free, {
    total,
    bases: storage.bases,
    wal: storage.wal,
    data: sum(all.map((one) => one.data)),
    prepared: sum(ahead),
    logs: sum(all.map((one) => one.logs)),
  });
  return {
    ...common,
    running: verdict.state === 'running' || verdict.state === 'asleep',
    primary,
    disk,
    ...verdict,
  };
}

function eachOnce(): Sizer {
  const sizes = new Sizes();
  return (path) => sizes.of(path);
}

const nothing = (state: State, problems: Problem[] = []): Omit<StatusReport, 'dir' | 'pid' | 'since'> => ({
  state,
  running: false,
  primary: null,
  computes: [],
  storage: null,
  disk: null,
  problems,
});

/** A first `up` has not come far yet, or local.json is damaged or missing. */
function withoutState(dir: LocalDir, problems: Problem[]): Omit<StatusReport, 'dir' | 'pid' | 'since'> {
  if (problems.length > 0) return nothing('trouble', problems);
  if (processOf(dir.upPid) !== null) return nothing('starting');
  const found = inspectDir(dir, 'stop');
  if (found.kind === 'own' && found.resetting !== null)
    return nothing('trouble', [
      unreadableProblem(dir.root, 'a reset was interrupted', `complete it with: ${commandFor(dir, 'reset')}`),
    ]);
  if (found.kind === 'own' && found.lost !== null)
    return nothing('trouble', [
      unreadableProblem(
        dir.state,
        `${dir.state} is missing, but the storage holds a database`,
        `restore the file, or start ${commandFor(dir, 'up')}: it creates another one, with a new password and new ports`,
      ),
    ]);
  return nothing('absent');
}

const unreadableProblem = (about: string, message: string, hint: string | null): Problem => ({
  kind: 'unreadable',
  about,
  message,
  hint: hint ?? 'restore it from a backup',
});

/** Something that may be damaged: then the rest is shown all the same. */
function attempt<T>(read: () => T, about: string): { state: T | null; problems: Problem[] } {
  try {
    return { state: read(), problems: [] };
  } catch (error) {
    return { state: null, problems: [unreadableProblem(about, inline(error), hintOf(error))] };
  }
}

function knownComputes(
  dir: LocalDir,
  state: LocalState,
  name: string,
): { computes: KnownCompute[]; primary: string; unreadable: Problem[] } {
  const computes: KnownCompute[] = [{ name, mode: 'replica', state, dir }];
  const unreadable: Problem[] = [];
  for (const of of nodeNames(dir)) {
    const own = nodeDir(dir, of);
    const { state: node, problems } = attempt(() => readNode(dir, of), own.root);
    unreadable.push(...problems);
    if (node !== null) computes.push({ name: of, mode: node.mode, state: asState(state, node), dir: own });
  }
  for (const { name: of, error } of listDamaged(dir).filter((one) => one.name !== mainName))
    unreadable.push(unreadableProblem(of, inline(error), hintOf(error)));
  const chosen = attempt(() => primaryInForce(dir), dir.primary);
  unreadable.push(...chosen.problems);
  return { computes, primary: chosen.state?.name ?? name, unreadable };
}

interface Parts {
  readonly total: Size;
  readonly bases: Size;
  readonly wal: Size;
  readonly data: Size;
  readonly prepared: Size;
  readonly logs: Size;
}

const diskReport = (free: number | null, sizes: Parts): DiskReport => ({
  total_bytes: sizes.total.bytes,
  base_bytes: sizes.bases.bytes,
  wal_bytes: sizes.wal.bytes,
  data_bytes: sizes.data.bytes,
  prepared_bytes: sizes.prepared.bytes,
  log_bytes: sizes.logs.bytes,
  complete: sum(Object.values(sizes)).complete,
  free_bytes: free,
});
