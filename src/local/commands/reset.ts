import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { askYes } from '../ask-yes.ts';
import { endBranches } from '../branches/end.ts';
import { requireWritable } from '../claim.ts';
import { endLeftovers } from '../leftovers.ts';
import { endNodes } from '../nodes.ts';
import { lockDir } from '../lock.ts';
import type { Report } from '../report.ts';
import { type Own, inspectDir } from '../own.ts';
import { holdsAnything, removeAll } from '../remove.ts';
import type { LocalDir } from '../state.ts';

/** Deletes the data permanently, with ports and passwords: everything that compute-local made, and nothing else.
 *  @param sure do not ask for confirmation
 *  @throws ComputeError `conflict` while it runs, `usage` when there is no terminal for the question, `dir_refused` when the
 *  directory is somebody else's */
export async function reset(dir: LocalDir, sure: boolean, report: Report, log: Log): Promise<number> {
  const found = inspectDir(dir, 'reset');
  if (found.kind === 'new' || isClean(dir, found)) {
    report.event('reset', { removed: false }, `There is no data in ${dir.root}.`);
    return 0;
  }
  requireWritable(dir);
  const lock = await lockDir(dir);
  try {
    if (!sure && !(await confirmed(dir))) {
      report.event('reset', { removed: false }, 'Nothing was deleted.');
      return 1;
    }
    const own = inspectDir(dir, 'reset');
    if (own.kind === 'own') {
      await endBranches(dir, report, log, never);
      await endNodes(dir, report, never);
      await endLeftovers(dir, own.state ?? own.lost ?? own.resetting, log, never);
      const kept = await removeAll(dir, own);
      report.event('reset', { removed: true, kept: kept.length }, textFor(dir, kept));
    }
    return 0;
  } finally {
    await lock.release();
  }
}

/** Only what somebody else put there is left, and the marker. */
const isClean = (dir: LocalDir, { state, lost, resetting }: Own): boolean =>
  state === null && lost === null && resetting === null && !holdsAnything(dir);

const shown = 10;

function textFor({ root }: LocalDir, kept: readonly string[]): string {
  const done = `Deleted all data in ${root}.`;
  if (kept.length === 0) return done;
  const more = kept.length > shown ? ` and ${kept.length - shown} more` : '';
  return `${done} Kept what compute-local did not create: ${kept.slice(0, shown).join(', ')}${more}.`;
}

async function confirmed(dir: LocalDir): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new ComputeError(
      'usage',
      'reset deletes all data, but cannot ask for confirmation: stdin is not a terminal',
      {
        hint: 'confirm with --yes',
      },
    );
  }
  return askYes(`Delete the database in ${dir.root} and all its data?`, process.stdout);
}
