import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { shownBytes, shownMs } from '../../core/shown.ts';
import { mainName } from '../names.ts';
import { readPhase } from '../phase.ts';
import type { LocalDir } from '../state.ts';
import { timelineDir, type TimelineDir } from '../storage/layout.ts';
import { rangesOf } from '../storage/ranges.ts';
import { type RestorableRange, restorableRange, restorableRanges } from '../storage/storage-status.ts';
import { type BranchEntry, type Damaged, type Place, listBranches, mainState, placeOf } from './tree.ts';

const text = (doc: string) => v.pipe(v.string(), v.description(doc));
const textOrNull = (doc: string) => v.pipe(v.nullable(v.string()), v.description(doc));
const count = (doc: string) => v.pipe(v.number(), v.description(doc));

/** One of `compute-local list --json`. Members may be added; none is removed or gets another meaning. */
export const listed = v.object({
  name: text('`main`, or the name of the branch.'),
  state: v.pipe(
    v.picklist(['running', 'asleep', 'waking', 'starting', 'restarting', 'stopping', 'stopped']),
    v.description('What its `up` is doing.'),
  ),
  parent: textOrNull('Whose data it began with; null: it was created empty.'),
  parent_lsn: textOrNull('Where in the history of its parent it begins.'),
  created_at: textOrNull('When it was created; UTC, ends in Z. Null for main.'),
  expires_at: textOrNull('When it is deleted; null: never by itself.'),
  restorable: v.pipe(
    v.nullable(
      v.object({
        from_lsn: text('The end of the oldest base backup that is kept.'),
        from_time: text('When that was complete; UTC, ends in Z.'),
        to_lsn: text('The end of the stored WAL.'),
      }),
    ),
    v.description(
      'What a branch of it can begin at; null while it has no data. With what is between them, where there are several `restorable_ranges`.',
    ),
  ),
  restorable_ranges: restorableRanges,
  keep_seconds: v.pipe(
    v.nullable(v.number()),
    v.description('How long its history is kept; null: it is not.'),
  ),
  port: count('TCP port of Postgres.'),
  http_port: count('Port of the HTTP API.'),
  storage_bytes: count('What its storage takes, without what it shares.'),
  shared_bytes: count('What its storage shares with others: finished WAL and base backups.'),
  dir: text('Its directory.'),
});

export type Listed = v.InferOutput<typeof listed>;

/** One of `damaged` of `compute-local list --json`. */
export const listedDamaged = v.object({
  name: text('`main`, or the name of the branch.'),
  dir: text('Its directory.'),
  message: text('What is wrong with it.'),
  hint: text('What to do.'),
});

/** The main compute, then every branch after its parent. */
export function listAll(dir: LocalDir): Listed[] {
  const branches = listBranches(dir);
  const main = mainState(dir);
  const after = (timelineId: string | null): Listed[] =>
    branches
      .filter((one) => parentOf(dir, branches, one)?.state.timelineId === timelineId)
      .flatMap((one) => [describe(dir, branches, one), ...after(one.state.timelineId)]);
  const roots = branches
    .filter((one) => parentOf(dir, branches, one) === null)
    .flatMap((one) => [describe(dir, branches, one), ...after(one.state.timelineId)]);
  if (main === null) return roots;
  return [describe(dir, branches, { name: mainName, dir, state: main }), ...after(main.timelineId), ...roots];
}

function parentOf(dir: LocalDir, branches: readonly BranchEntry[], { state }: BranchEntry): Place | null {
  const { parent } = state.branch;
  return parent === null ? null : placeOf(dir, branches, parent.timelineId);
}

export function describe(dir: LocalDir, branches: readonly BranchEntry[], place: Place): Listed {
  const { name, state } = place;
  const branch = state.branch ?? null;
  const parent = branch?.parent ?? null;
  const phase = readPhase(place.dir.upPid)?.phase ?? 'stopped';
  const files = timelineDir(place.dir.storage, state.tenantId, state.timelineId);
  const size = sizeOf(files.root);
  const ranges = rangesIn(files);
  return {
    name,
    state: phase === 'ready' ? 'running' : phase,
    parent: parent === null ? null : (placeOf(dir, branches, parent.timelineId)?.name ?? null),
    parent_lsn: parent?.lsn ?? null,
    created_at: branch?.createdAt ?? null,
    expires_at: branch?.expiresAt ?? null,
    restorable: wholeOf(ranges),
    restorable_ranges: ranges,
    keep_seconds: state.keep?.seconds ?? null,
    port: state.ports.postgres,
    http_port: state.ports.externalHttp,
    storage_bytes: size.own,
    shared_bytes: size.shared,
    dir: place.dir.root,
  };
}

/** Empty before the first start, and where the storage cannot be read, which `status` tells more about. */
function rangesIn(files: TimelineDir): RestorableRange[] {
  try {
    return rangesOf(files).map(restorableRange);
  } catch {
    return [];
  }
}

function wholeOf(ranges: readonly RestorableRange[]): Listed['restorable'] {
  const [first, last] = [ranges[0], ranges.at(-1)];
  return first === undefined || last === undefined ? null : { ...first, to_lsn: last.to_lsn };
}

function sizeOf(root: string): { own: number; shared: number } {
  const size = { own: 0, shared: 0 };
  const visit = (path: string): void => {
    for (const entry of entriesOf(path)) {
      const at = join(path, entry.name);
      if (entry.isDirectory()) visit(at);
      const stat = lstatSync(at, { throwIfNoEntry: false });
      if (stat?.isFile() === true) size[stat.nlink > 1 ? 'shared' : 'own'] += stat.blocks * 512;
    }
  };
  visit(root);
  return size;
}

/** What is gone meanwhile takes nothing. */
function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

const head = ['NAME', 'STATE', 'PARENT', 'AT', 'RESTORABLE FROM', 'EXPIRES IN', 'PORT', 'OWN', 'SHARED'];

/** @param nowMs milliseconds since 1970 */
export function listText(all: readonly Listed[], nowMs: number, broken: readonly Damaged[] = []): string {
  const sound = all.map((one) => [
    one.name,
    one.state,
    one.parent ?? '-',
    one.parent_lsn ?? '-',
    one.restorable === null ? '-' : `${one.restorable.from_lsn} ${minute(one.restorable.from_time)}`,
    one.expires_at === null ? '-' : shownMs(Date.parse(one.expires_at) - nowMs),
    String(one.port),
    shownBytes(one.storage_bytes),
    shownBytes(one.shared_bytes),
  ]);
  const rows = [...sound, ...broken.map(({ name }) => [name, 'damaged', ...head.slice(2).map(() => '-')])];
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const lines = [head, ...rows].map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, ...all.flatMap(rangeLines)].map((line) => `${line}\n`).join('');
}

/** Where not everything since the beginning can be restored. */
const rangeLines = ({ name, restorable_ranges: ranges }: Listed): string[] =>
  ranges.length < 2
    ? []
    : [`  ${name}: ${ranges.map(rangeText).join(', and ')} can be restored, and nothing in between`];

const rangeText = ({ from_lsn, from_time, to_lsn }: RestorableRange): string =>
  `${from_lsn} (${minute(from_time)}) to ${to_lsn}`;

const minute = (iso: string): string => `${iso.slice(0, 16).replace('T', ' ')} UTC`;
