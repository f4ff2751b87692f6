import { readValue } from '../../config/values.ts';
import { codeOf, hintOf, inline, ComputeError } from '../../core/errors.ts';
import { parseAt } from '../branches/at.ts';
import { buildFrom } from '../branches/create.ts';
import { asBefore, startInBackground } from '../branches/start.ts';
import { branchDir, findPlace, requireFreeName } from '../branches/tree.ts';
import { mainName } from '../names.ts';
import { type LocalDir, type LocalState, commandFor } from '../state.ts';
import type { Action, ActionContext, Facts, Fields } from './action.ts';
import { FieldProblems, problemOf } from './field-problems.ts';
import type { Field, FieldProblem } from './model.ts';

const longestDays = 3650;
const daySeconds = 86_400;

/** What has data. */
const parents = ({ tree }: Facts): string[] =>
  (tree?.computes ?? []).filter(({ restorable }) => restorable !== null).map(({ name }) => name);

const text = (name: string, label: string, hint: string): Field => ({
  ...{ name, label, hint, kind: 'text', value: '', choices: [] },
});

export const branchAction: Action = {
  title: 'Branch',
  doc: 'Creates a compute with the same data and its own changes, and starts it. Its parent goes on undisturbed.',
  dangerous: false,
  targets: (facts) => (parents(facts).length === 0 ? [] : ['']),
  fields: (facts) => [
    text('name', 'Name', 'a to z, 0 to 9, - and _; at most 31'),
    {
      ...text('from', 'From', 'whose data'),
      ...{ kind: 'choice', value: mainName, choices: parents(facts) },
    },
    text('at', 'At', 'an LSN, a time, or such as 2 hours ago; empty: now'),
    text('ttl', 'Delete after', 'such as 2h or 7d; empty: never by itself'),
  ],
  async run(context, _, fields) {
    const { dir, pgBinDir, report, signal } = context;
    const { name = '' } = fields;
    const { state } = await create(context, fields);
    const parent = fields['from'] ?? mainName;
    const lsn = state.branch?.parent?.lsn ?? '';
    const from = `Branched ${name} from ${parent} at ${lsn}`;
    report.progress(`${from}. Starting it ...`, '');
    const running = await startInBackground(
      branchDir(dir, name),
      { ...asBefore, pgBinDir },
      report,
      signal,
    ).catch((cause: unknown) => {
      throw new ComputeError(codeOf(cause), `${from}, but it does not start: ${inline(cause)}`, {
        hint: hintOf(cause) ?? `try again with: ${commandFor(dir, `start ${name}`)}`,
      });
    });
    return `${from}. It runs on port ${running.ports.postgres}; its URL: ${commandFor(dir, `url ${name}`)}`;
  },
};

interface Wanted {
  readonly name: string;
  readonly from: ReturnType<typeof findPlace>;
  readonly at: ReturnType<typeof parseAt>;
  /** Seconds. */
  readonly ttl: number | null;
}

async function create({ dir, log }: ActionContext, fields: Fields): Promise<{ readonly state: LocalState }> {
  const { name, from, at, ttl } = readFields(dir, fields);
  const expiresAt = ttl === null ? null : new Date(Date.now() + ttl * 1000).toISOString();
  const wanted = { name, expiresAt, keep: null, listenAll: false, ports: {}, from: { place: from, at } };
  try {
    return { state: await buildFrom(dir, wanted, log) };
  } catch (error) {
    // The parent's storage does not have that point.
    if (codeOf(error) === 'not_found' && at !== 'end') throw new FieldProblems([problemOf('at', error)]);
    throw error;
  }
}

/** @throws FieldProblems with everything that is wrong */
export function readFields(dir: LocalDir, fields: Fields): Wanted {
  const { name = '', from = mainName, at = '', ttl = '' } = fields;
  const problems: FieldProblem[] = [];
  const read = <T>(field: string, work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      problems.push(problemOf(field, error));
      return null;
    }
  };
  read('name', () => requireFreeName(dir, name));
  const place = read('from', () => findPlace(dir, from));
  const point = read('at', () => parseAt(at.trim() === '' ? 'now' : at, Date.now()));
  const seconds = read('ttl', () => (ttl.trim() === '' ? null : ttlOf(ttl.trim())));
  if (problems.length > 0 || place === null || point === null) throw new FieldProblems(problems);
  return { name, from: place, at: point, ttl: seconds };
}

/** Seconds. @throws Error that says what is expected */
function ttlOf(given: string): number {
  const seconds = Number(readValue('duration', given));
  if (seconds > 0 && seconds <= longestDays * daySeconds) return seconds;
  throw new Error(`Expected a time of more than 0 and at most ${longestDays} days.`);
}
