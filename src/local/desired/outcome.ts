import type { ErrorCode } from '../../core/errors.ts';
import type { ObservedLine } from './observe.ts';
import type { Place } from './problem.ts';
import { shellWord } from '../../core/shell-word.ts';
import { ident } from '../../core/sql.ts';
import { type Change, type Left, changeText, isDroppable, keyOf, objectText, visible } from './change.ts';

/** What has become of one object. `waits`: for the next start of Postgres. */
export interface Outcome extends Change {
  readonly result: 'applied' | 'waits' | 'failed';
  readonly reason: string | null;
  readonly hint: string | null;
}

/** With its place in the file, where it failed and is there. */
export type PlacedOutcome = Outcome & { readonly place: Place | null };

export interface Failure {
  readonly reason: string;
  readonly hint: string | null;
}

/** Why a compute did not take a spec. */
export interface Refusal extends Failure {
  readonly code: ErrorCode;
}

type Result = Pick<Outcome, 'result' | 'reason' | 'hint'>;

const applied: Result = { result: 'applied', reason: null, hint: null };
export const waits: Result = { result: 'waits', reason: null, hint: null };

/** What became of each change: what does not differ any more was applied. Pure.
 *  @param after what still differs
 *  @param failures by key of the object
 *  @param waiting keys of what is left for the next start */
export function outcomesOf(
  changes: readonly Change[],
  after: readonly Change[],
  failures: ReadonlyMap<string, Failure>,
  waiting: ReadonlySet<string>,
): Outcome[] {
  const open = new Map(after.map((one) => [keyOf(one), one]));
  return changes.map((change): Outcome => {
    const key = keyOf(change);
    const failure = failures.get(key);
    if (failure !== undefined) return { ...change, result: 'failed', ...failure };
    const left = open.get(key);
    if (waiting.has(key) || left?.restart === true) return { ...change, ...waits };
    if (left === undefined) return { ...change, ...applied };
    return { ...change, result: 'failed', reason: 'it is still not as compute.json asks', hint: null };
  });
}

/** Settings that are not as wanted because of ALTER SYSTEM, by key. Pure.
 *  @param psql command line of the superuser's */
export const overridden = (
  after: readonly Change[],
  lines: ReadonlyMap<string, ObservedLine>,
  psql: string,
): (readonly [key: string, Failure])[] =>
  after.flatMap((change) => {
    const line = change.kind === 'setting' ? lines.get(change.name) : undefined;
    if (line?.bySystem !== true || line.value === change.to) return [];
    const reason = `ALTER SYSTEM has set it to ${JSON.stringify(line.value)}, which counts more`;
    const hint = `${psql} -c 'alter system reset ${change.name}', then apply again`;
    return [[keyOf(change), { reason, hint }]];
  });

/** The same after the compute refused the spec: roles and databases may be there all the same, settings are as before. Pure.
 *  @param reason what the compute said: it belongs to the objects that it names, or to all */
export function outcomesOfRefusal(
  changes: readonly Change[],
  after: readonly Change[],
  { reason, hint }: Failure,
): Outcome[] {
  const open = new Set(after.map(keyOf));
  const isOpen = (one: Change): boolean =>
    one.kind === 'setting' || one.kind === 'extension' || open.has(keyOf(one));
  const named = changes.filter((one) => isOpen(one) && isNamed(one, reason));
  return changes.map((change): Outcome => {
    if (!isOpen(change)) return { ...change, ...applied };
    if (named.length === 0 || named.includes(change)) return { ...change, result: 'failed', reason, hint };
    return { ...change, result: 'failed', reason: 'not done, since another one failed', hint: null };
  });
}

/** Names of settings stand in messages as words. */
const settingNames = /[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*/g;

function isNamed({ kind, name }: Change, text: string): boolean {
  if (kind !== 'setting') return text.includes(JSON.stringify(name));
  return (text.match(settingNames) ?? []).some((word) => word.toLowerCase() === name);
}

const words = { applied: 'applied', waits: 'waits for a restart of Postgres', failed: 'FAILED' } as const;

export const outcomeText = (one: PlacedOutcome): string =>
  [
    `  ${changeText({ ...one, restart: false })}: ${words[one.result]}`,
    ...(one.place === null ? [] : [`      at ${one.place.path}, line ${one.place.line}`]),
    ...(one.reason === null ? [] : [`      ${one.reason.split('\n').map(visible).join('\n      ')}`]),
    ...(one.hint === null ? [] : [`      Hint: ${visible(one.hint)}`]),
  ].join('\n');

/** Command lines for what is left. */
interface DropCommands {
  readonly prune: string;
  /** psql as the superuser. */
  readonly psql: string;
}

export function leftText(left: readonly Left[], commands: DropCommands): string[] {
  const stays = left.map((one) => {
    const database = one.kind === 'extension' ? one.database : null;
    return `  = ${objectText({ ...one, database })}: no longer in compute.json, and stays`;
  });
  const byHand = left.flatMap((one) =>
    one.kind === 'extension' ? [`    ${dropExtension(one, commands.psql)}`] : [],
  );
  return [
    ...stays,
    ...(left.some(isDroppable) ? [`  To drop what is no longer in compute.json: ${commands.prune}`] : []),
    ...(byHand.length > 0 ? ['  To drop an extension that nothing uses:', ...byHand] : []),
  ];
}

/** For a shell. */
const dropExtension = (
  { name, database }: { readonly name: string; readonly database: string },
  psql: string,
): string =>
  `${psql} ${[`\\connect ${ident(database).reveal()}`, `drop extension ${ident(name).reveal()}`]
    .map((statement) => `-c ${shellWord(statement)}`)
    .join(' ')}`;
