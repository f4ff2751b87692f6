import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { mainName } from '../names.ts';
import { ownRoot } from '../own-root.ts';
import { readPhase, serves } from '../phase.ts';
import { type LocalDir, type LocalState, commandFor, readState } from '../state.ts';
import { parseAt } from './at.ts';
import { type NewBranch, buildBranch } from './build.ts';
import { isUp, refuseWithoutEffect } from './in-force.ts';
import { interruptible } from './interrupt.ts';
import { keepOf } from './keep.ts';
import { withTree } from './lock.ts';
import { type Output, printPlace, progressOf } from './output.ts';
import { type RunOptions, startInBackground } from './start.ts';
import { branchDir, findPlace, missing, readBranch, requireFreeName, requireName } from './tree.ts';

interface Start extends RunOptions, Output {}

interface Create extends Start {
  /** Seconds. */
  readonly ttl: number | null;
  /** It is not started. */
  readonly stopped: boolean;
}

interface Branch extends Create {
  readonly from: string;
  readonly at: string | null;
}

/** `create NAME`: an empty database of its own; reused when it is there.
 *  @param given the names of the options on the command line */
export async function create(
  dir: LocalDir,
  name: string,
  options: Create,
  given: readonly string[],
  log: Log,
): Promise<number> {
  if (name === mainName) return createMain(dir, options, given);
  requireName(name);
  await ownRoot(dir);
  const created = await withTree(dir, log, never, async () => {
    const found = readBranch(dir, name);
    if (found !== null) {
      const why = isUp(found.dir) ? 'runs already,' : options.stopped ? 'is there already,' : null;
      if (why !== null) refuseWithoutEffect(dir, found, { options, given, why });
      return false;
    }
    requireFreeName(dir, name);
    await buildBranch(dir, { ...newBranch(name, options), from: null });
    return true;
  });
  progressOf(options).event(
    'created',
    { name, created },
    created
      ? `Created "${name}".`
      : `"${name}" is there already${options.ttl === null ? '' : ', and when it is deleted stays as it is'}.`,
  );
  return finish(dir, name, options, { created });
}

/** @throws ComputeError `usage` for the options that are for branches only */
function createMain(dir: LocalDir, options: Create, given: readonly string[]): Promise<number> {
  const [flag] = [...(options.ttl === null ? [] : ['--ttl']), ...(options.stopped ? ['--stopped'] : [])];
  if (flag === undefined) return start(dir, mainName, options, given);
  throw new ComputeError('usage', `${flag} is not for ${mainName}`, {
    hint: `leave it out, or create another one: ${commandFor(dir, `create NAME ${flag}`)}`,
  });
}

/** `branch NAME --from OTHER --at WHEN`. */
export async function branch(dir: LocalDir, name: string, options: Branch, log: Log): Promise<number> {
  const at = parseAt(options.at ?? 'now', Date.now());
  const from = findPlace(dir, options.from);
  const state = await buildFrom(dir, { ...newBranch(name, options), from: { place: from, at } }, log);
  const lsn = state.branch?.parent?.lsn ?? '';
  progressOf(options).event(
    'branched',
    { name, from: from.name, lsn },
    `Branched "${name}" from ${from.name} at ${lsn}.`,
  );
  return finish(dir, name, options, { created: true });
}

/** Creates a branch, and does not start it.
 *  @throws ComputeError `usage`, `conflict`, `not_found`, `busy` */
export const buildFrom = (dir: LocalDir, wanted: NewBranch, log: Log): Promise<LocalState> =>
  withTree(dir, log, never, async () => {
    requireFreeName(dir, wanted.name);
    return buildBranch(dir, wanted);
  });

/** The end of the year 9999. */
const lastMs = 253_402_300_799_999;

const newBranch = (name: string, options: Create): Omit<NewBranch, 'from'> => ({
  name,
  keep: keepOf(null, options),
  expiresAt:
    options.ttl === null ? null : new Date(Math.min(Date.now() + options.ttl * 1000, lastMs)).toISOString(),
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
  // The ports of a new one are not known to anybody yet.
  const newPorts = options.newPorts || fields.created;
  if (!options.stopped)
    await interruptible((signal) =>
      startInBackground(own, { ...options, newPorts }, progressOf(options), signal),
    );
  return printPlace(dir, name, options, fields);
}

/** `start [NAME]`, in the background.
 *  @param given the names of the options on the command line */
export async function start(
  dir: LocalDir,
  name: string,
  options: Start,
  given: readonly string[],
): Promise<number> {
  if (name === mainName) await ownRoot(dir);
  const own = name === mainName ? dir : (readBranch(dir, name)?.dir ?? null);
  if (own === null) throw missing(dir, name);
  const state = isUp(own) ? readState(own) : null;
  if (state !== null) refuseWithoutEffect(dir, { name, state }, { options, given, why: 'runs already,' });
  const phase = readPhase(own.upPid)?.phase ?? null;
  if (phase !== null && serves(phase))
    progressOf(options).event('running', { name }, `"${name}" runs already, with the options of its start.`);
  await interruptible((signal) => startInBackground(own, options, progressOf(options), signal));
  return printPlace(dir, name, options);
}
