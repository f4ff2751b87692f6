import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, hintOf, inline } from '../../core/errors.ts';
import { type Accepted, readAccepted } from '../desired/accepted.ts';
import { type Droppable, type Left, changeText, isDroppable, objectText } from '../desired/change.ts';
import { acceptedName } from '../desired/names.ts';
import { type Looked, lookAsItIs } from '../desired/plan.ts';
import { FileProblems } from '../desired/problem.ts';
import { type ReadFile, fileOf, readDesired } from '../desired/read.ts';
import type { LocalDir } from '../state.ts';
import type { Plan } from './model.ts';

/** What `apply` would change, without waking what sleeps. Never throws but for the abort. */
export async function pendingPlan(dir: LocalDir, signal: AbortSignal): Promise<Plan> {
  const file = fileOf(dir, null);
  try {
    const read = readDesired(dir, null);
    return planOf(read, await lookAsItIs(dir, read, signal));
  } catch (error) {
    signal.throwIfAborted();
    return { ...none(file), ...faultOf(error), appliedAt: acceptedIn(dir)?.at ?? null };
  }
}

const none = (file: string): Plan => ({
  file,
  state: 'faulty',
  against: null,
  at: new Date().toISOString(),
  appliedAt: null,
  changes: [],
  left: [],
  drops: [],
  problems: [],
  error: null,
  hint: null,
  digest: null,
});

/** Pure but for the clock. */
export const planOf = (read: ReadFile, { before, running, changes, left }: Looked): Plan => ({
  ...none(read.source.file),
  state: 'known',
  against: running === null ? 'last apply' : 'Postgres',
  appliedAt: before?.at ?? null,
  changes: changes.map(changeText),
  left: left.map(nameOf),
  drops: left.filter(isDroppable).map(nameOf),
  digest: digestOf(read),
});

const nameOf = (one: Left): string => objectText({ ...one, database: null });

export const digestOf = ({ source }: Pick<ReadFile, 'source'>): string => textDigest(source.text);

/** Of what would be dropped: something else is not dropped in its place. */
export const dropsDigest = (drops: readonly string[]): string => textDigest(JSON.stringify(drops));

export const digestOfDrop = (drop: readonly Droppable[]): string => dropsDigest(drop.map(nameOf));

const textDigest = (text: string): string => createHash('sha256').update(text).digest('base64url');

function faultOf(error: unknown): Pick<Plan, 'state' | 'problems' | 'error' | 'hint'> {
  const state = codeOf(error) === 'not_found' ? 'absent' : 'faulty';
  if (error instanceof FileProblems)
    return { state, problems: error.problems, error: null, hint: hintOf(error) };
  return { state, problems: [], error: inline(error), hint: hintOf(error) };
}

/** What the last `apply` has accepted; null also for what cannot be read, which the plan tells. */
export function acceptedIn(dir: LocalDir): Accepted | null {
  try {
    return readAccepted(dir);
  } catch {
    return null;
  }
}

/** Changes when a file that the plan depends on has changed. Never throws. */
export const planKey = (dir: LocalDir): string =>
  JSON.stringify(
    [fileOf(dir, null), join(dir.root, acceptedName)].map((path) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = statSync(path);
        return [ino, size, mtimeMs, ctimeMs];
      } catch (error) {
        return inline(error);
      }
    }),
  );
