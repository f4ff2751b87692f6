import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { identify } from '../../process/identity.ts';
import { renameDurable } from '../../process/files.ts';
import { claimDir, createRoot } from '../claim.ts';
import { lockDir } from '../lock.ts';
import { mainName } from '../names.ts';
import { inspectDir } from '../own.ts';
import { createReport } from '../report.ts';
import {
  type LocalDir,
  type LocalState,
  commandFor,
  connectionUrl,
  readState,
  writeState,
} from '../state.ts';
import { stopDir } from '../stop-dir.ts';
import { parseAt } from './at.ts';
import { type NewBranch, buildBranch, forkInto } from './build.ts';
import { silent } from './end.ts';
import { keepOf } from './keep.ts';
import { type Listed, describe, listAll, listText } from './list.ts';
import { withTree } from './lock.ts';
import { removeBranch } from './remove.ts';
import { type RunOptions, startInBackground } from './start.ts';
import {
  type BranchEntry,
  branchDir,
  childrenOf,
  findPlace,
  isRunning,
  listBranches,
  missing,
  placeOf,
  readBranch,
  requireFreeName,
  requireName,
} from './tree.ts';

interface Output {
  readonly json: boolean;
}

interface Start extends RunOptions, Output {}

interface Create extends Start {
  /** Seconds. */
  readonly ttl: number | null;
  readonly noStart: boolean;
}

interface Branch extends Create {
  readonly from: string;
  readonly at: string | null;
}

/** Progress goes to stderr, since stdout has the result. */
const progressOf = ({ json }: Output) => createReport(process.stderr, json);

/** `create NAME`: an empty database of its own; reused when it is there. */
export async function create(dir: LocalDir, name: string, options: Create, log: Log): Promise<number> {
  if (name === mainName) return start(dir, name, options);
  requireName(name);
  await claimRoot(dir);
  const created = await withTree(dir, log, never, async () => {
    if (readBranch(dir, name) !== null) return false;
    requireFreeName(dir, name);
    await buildBranch(dir, { ...newBranch(name, options), from: null });
    return true;
  });
  progressOf(options).event(
    'created',
    { name, created },
    created ? `Created "${name}".` : `"${name}" is there already.`,
  );
  return finish(dir, name, options, { created });
}

/** `branch NAME --from OTHER --at WHEN`. */
export async function branch(dir: LocalDir, name: string, options: Branch, log: Log): Promise<number> {
  const at = parseAt(options.at ?? 'now', Date.now());
  const from = findPlace(dir, options.from);
  const state = await withTree(dir, log, never, async () => {
    requireFreeName(dir, name);
    return buildBranch(dir, { ...newBranch(name, options), from: { place: from, at } });
  });
  const lsn = state.branch?.parent?.lsn ?? '';
  progressOf(options).event(
    'branched',
    { name, from: from.name, lsn },
    `Branched "${name}" from ${from.name} at ${lsn}.`,
  );
  return finish(dir, name, options, { created: true });
}

const newBranch = (name: string, options: Create): Omit<NewBranch, 'from'> => ({
  name,
  keep: keepOf(null, options),
  expiresAt: options.ttl === null ? null : new Date(Date.now() + options.ttl * 1000).toISOString(),
  listenAll: options.listenAll,
  ports: {
    ...(options.port === null ? {} : { postgres: options.port }),
    ...(options.httpPort === null ? {} : { externalHttp: options.httpPort }),
  },
});

async function finish(
  dir: LocalDir,
  name: string,
  options: Create,
  fields: { readonly created: boolean },
): Promise<number> {
  const own = branchDir(dir, name);
  if (!options.noStart) await startInBackground(own, options, progressOf(options), never);
  return result(dir, name, options, fields);
}

/** The last line is the URL alone. */
function result(dir: LocalDir, name: string, { json }: Output, fields: Record<string, unknown> = {}): number {
  const place = findPlace(dir, name);
  const url = connectionUrl(place.state);
  const all = { ...describe(dir, listBranches(dir), place), url, ...fields };
  process.stdout.write(json ? `${JSON.stringify(all)}\n` : `${url}\n`);
  return 0;
}

/** `start [NAME]`, in the background. */
export async function start(dir: LocalDir, name: string, options: Start): Promise<number> {
  if (name === mainName) await claimRoot(dir);
  const own = name === mainName ? dir : (readBranch(dir, name)?.dir ?? null);
  if (own === null) throw missing(dir, name);
  await startInBackground(own, options, progressOf(options), never);
  return result(dir, name, options);
}

/** Makes the directory of `--dir` ours where it is new. */
async function claimRoot(dir: LocalDir): Promise<void> {
  if (inspectDir(dir).kind === 'own') return;
  createRoot(dir);
  const lock = await lockDir(dir);
  try {
    claimDir(dir);
  } finally {
    await lock.release();
  }
}

export async function list(dir: LocalDir, { json }: Output): Promise<number> {
  const found = inspectDir(dir, 'stop');
  const computes: Listed[] = found.kind === 'new' ? [] : listAll(dir);
  process.stdout.write(json ? `${JSON.stringify({ computes })}\n` : listText(computes, Date.now()));
  return 0;
}

/** `delete NAME`. One that is missing is a success. */
export async function remove(dir: LocalDir, name: string, options: Output, log: Log): Promise<number> {
  if (name === mainName)
    throw new ComputeError('usage', 'main cannot be deleted', {
      hint: `to delete it with all its data and all branches: ${commandFor(dir, 'reset')}`,
    });
  requireName(name);
  const nothing = inspectDir(dir, 'stop').kind === 'new';
  const kept = nothing
    ? null
    : await withTree(dir, log, never, async () => {
        const found = readBranch(dir, name);
        if (found === null) return null;
        refuseParent(dir, found, 'deleted');
        return removeBranch(dir, name, log);
      });
  const left =
    kept === null || kept.length === 0 ? '' : ` Kept what compute-local did not create: ${kept.join(', ')}.`;
  const said = kept === null ? `There is no compute with the name "${name}".` : `Deleted "${name}".${left}`;
  createReport(process.stdout, options.json).event(
    'deleted',
    { name, deleted: kept !== null, kept: kept?.length ?? 0 },
    said,
  );
  return 0;
}

/** @throws ComputeError `conflict` naming the branches that have its data */
function refuseParent(dir: LocalDir, { name, state }: BranchEntry, what: string): void {
  const children = childrenOf(listBranches(dir), state.timelineId).map((one) => one.name);
  if (children.length === 0) return;
  throw new ComputeError(
    'conflict',
    `"${name}" cannot be ${what}: ${children.join(', ')} began with its data`,
    {
      hint: `delete ${children.length === 1 ? 'that one' : 'those'} first: ${children.map((child) => commandFor(dir, `delete ${child}`)).join('; ')}`,
    },
  );
}

/** `rename NAME NEW`: data and URL stay. */
export async function rename(
  dir: LocalDir,
  name: string,
  fresh: string,
  options: Output,
  log: Log,
): Promise<number> {
  requireName(name);
  requireName(fresh);
  await withTree(dir, log, never, async () => {
    const found = readBranch(dir, name);
    if (found === null) throw missing(dir, name);
    requireFreeName(dir, fresh);
    if (isRunning(found.dir))
      throw new ComputeError('conflict', `"${name}" cannot be renamed while it runs`, {
        hint: `stop it first: ${commandFor(dir, `stop ${name}`)}`,
      });
    await stopDir(found.dir, silent, log, never);
    const lock = await lockDir(found.dir);
    try {
      renameDurable(found.dir.root, branchDir(dir, fresh).root);
    } finally {
      await lock.release();
    }
  });
  createReport(process.stdout, options.json).event(
    'renamed',
    { name: fresh, former: name },
    `"${name}" is "${fresh}" now.`,
  );
  return 0;
}

/** `reset NAME`: the present data of its parent, under the same URL. */
export async function resetBranch(
  dir: LocalDir,
  name: string,
  options: Output & Pick<RunOptions, 'pgBinDir'>,
  log: Log,
): Promise<number> {
  requireName(name);
  const progress = progressOf(options);
  const ran = await withTree(dir, log, never, async () => {
    const found = readBranch(dir, name);
    if (found === null) throw missing(dir, name);
    const { parent } = found.state.branch;
    const from = parent === null ? null : placeOf(dir, listBranches(dir), parent.timelineId);
    if (from === null)
      throw new ComputeError('conflict', `"${name}" has no parent: it was created empty`, {
        hint: `delete it and create it again: ${commandFor(dir, `delete ${name}`)}`,
      });
    refuseParent(dir, found, 'reset');
    // Beside the former one, so that the compute stands still only for a restart.
    const forked = await forkInto(from, 'end', found.dir.storage);
    const running = isRunning(found.dir);
    if (running) progress.progress(`Stopping "${name}" ...`, '');
    await stopDir(found.dir, silent, log, never);
    const lock = await lockDir(found.dir);
    try {
      const now = readState(found.dir) ?? found.state;
      const { tenantId, timelineId, systemId, origin } = forked;
      writeState(found.dir, {
        ...now,
        tenantId,
        timelineId,
        systemId,
        branch: { ...found.state.branch, parent: origin },
      });
    } finally {
      await lock.release();
    }
    progress.event(
      'reset',
      { name, from: from.name, lsn: forked.origin.lsn },
      `"${name}" has the data of ${from.name} at ${forked.origin.lsn}.`,
    );
    return running;
  });
  // Removes the former data.
  await withTree(dir, log, never, async () => {});
  if (ran)
    await startInBackground(
      branchDir(dir, name),
      { ...asBefore, pgBinDir: options.pgBinDir },
      progress,
      never,
    );
  return result(dir, name, options);
}

/** Everything else is as it was. */
const asBefore: RunOptions = {
  ...{ pgBinDir: null, port: null, httpPort: null, newPorts: false, listenAll: false },
  ...{ compactAt: 256 * 1024 * 1024, warnFree: null, stopFree: null, keep: null, keepAtMost: null },
};

/** A branch for one command, at a point of another compute's history: it goes when this process ends.
 *  @returns its state, and what removes it */
export async function view(
  dir: LocalDir,
  from: string,
  when: string,
  pgBinDir: string | null,
  log: Log,
): Promise<{ state: LocalState; remove: () => Promise<void> }> {
  const at = parseAt(when, Date.now());
  const place = findPlace(dir, from);
  const name = `view-${process.pid}-${Date.now().toString(36)}`;
  const owner = identify(process.pid);
  const none = {
    keep: null,
    expiresAt: null,
    listenAll: false,
    ports: {},
    ...(owner === null ? {} : { owner }),
  };
  await withTree(dir, log, never, () => buildBranch(dir, { ...none, name, from: { place, at } }));
  const removeIt = (): Promise<void> =>
    withTree(dir, log, never, async () => void (await removeBranch(dir, name, log)));
  try {
    const report = createReport(process.stderr, false);
    report.progress(`Starting a view of ${from} at ${when} ...`, '');
    const options = { ...asBefore, pgBinDir };
    const state = await startInBackground(branchDir(dir, name), options, report, never);
    return { state, remove: removeIt };
  } catch (error) {
    await removeIt();
    throw error;
  }
}
