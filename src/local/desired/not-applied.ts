import { inline } from '../../core/errors.ts';
import type { Report } from '../report.ts';
import { type LocalDir, commandFor } from '../state.ts';
import { type Accepted, accept } from './accepted.ts';
import { fileOf, readDesired } from './read.ts';

/** Says so when the compute.json of the directory asks for something else than what was accepted: it has no effect by itself. */
export function tellNotApplied(dir: LocalDir, accepted: Accepted | null, report: Report): void {
  const file = fileOf(dir, null);
  // Another file is in force.
  if (accepted !== null && accepted.file !== file) return;
  const tell = (reason: string | null, text: string): void =>
    report.event('not-applied', { file, reason }, text);
  try {
    const wanted = accept(readDesired(dir, null).desired, file, accepted);
    if (asked(wanted) === asked(accepted)) return;
    tell(null, `${file} has changes that are not applied: ${commandFor(dir, 'plan')}`);
  } catch (error) {
    tell(inline(error), `${file} cannot be applied: ${inline(error)}`);
  }
}

const asked = (one: Accepted | null): string =>
  JSON.stringify([one?.roles ?? [], one?.databases ?? [], one?.extensions ?? [], one?.settings ?? {}]);
