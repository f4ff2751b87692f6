import { never } from '../../core/abort.ts';
import type { Log } from '../../core/log.ts';
import { identify } from '../../process/identity.ts';
import type { LocalDir, LocalState } from '../state.ts';
import { parseAt } from './at.ts';
import { buildBranch } from './build.ts';
import { interruptible } from './interrupt.ts';
import { withTree } from './lock.ts';
import { progressOf } from './output.ts';
import { removeBranch } from './remove.ts';
import { asBefore, startInBackground } from './start.ts';
import { branchDir, findPlace } from './tree.ts';

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
    const report = progressOf({ json: false });
    report.progress(`Starting a view of ${from} at ${when} ...`, '');
    // Nobody knows its ports yet.
    const options = {
      ...asBefore,
      newPorts: true,
      pgBinDir: pgBinDir ?? place.state.started?.pgBinDir ?? null,
    };
    const state = await interruptible((signal) =>
      startInBackground(branchDir(dir, name), options, report, signal),
    );
    return { state, remove: removeIt };
  } catch (error) {
    await removeIt();
    throw error;
  }
}
