import { text as textOf } from 'node:stream/consumers';
import { ComputeClient } from '../../client/external.ts';
import { ComputeHttpError } from '../../client/http.ts';
import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import { lineDiff, unified } from '../../core/line-diff.ts';
import { computeToken } from '../compute-api.ts';
import { type LocalDir, commandFor } from '../state.ts';
import { whileAwake } from '../wake.ts';
import { type Paint, paintFor } from '../status/text.ts';
import { type Place, findPlace, isRunning, listBranches, placeOf } from './tree.ts';

interface DiffOptions {
  readonly json: boolean;
  readonly database: string | null;
}

/** As that of `compute_ctl plan`. */
const exits = { same: 0, different: 3 } as const;

/** `diff NAME`: what a branch has changed in the schema of its parent; `diff NAME OTHER`: from the first to the second, as of two
 *  files.
 *  @returns 0: they are the same; 3: they differ
 *  @throws ComputeError `conflict` when one of them does not run */
export async function diff(
  dir: LocalDir,
  name: string,
  other: string | null,
  { json, database }: DiffOptions,
): Promise<number> {
  const first = findPlace(dir, name);
  const [from, to] = other === null ? [parentOf(dir, first), first] : [first, findPlace(dir, other)];
  const [before, after] = await Promise.all([from, to].map((place) => schemaOf(dir, place, database)));
  const lines = unified(lineDiff(before ?? [], after ?? []));
  const result = { from: from.name, to: to.name, different: lines.length > 0, lines };
  const shown = [`--- ${from.name}`, `+++ ${to.name}`, ...lines].map(
    painted(paintFor(process.stdout, process.env)),
  );
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else if (lines.length > 0) process.stdout.write(`${shown.join('\n')}\n`);
  return lines.length > 0 ? exits.different : exits.same;
}

function parentOf(dir: LocalDir, { name, state }: Place): Place {
  const parent = state.branch?.parent ?? null;
  const found = parent === null ? null : placeOf(dir, listBranches(dir), parent.timelineId);
  if (found !== null) return found;
  throw new ComputeError('usage', `"${name}" has no parent to compare it with`, {
    hint: `name the other one: ${commandFor(dir, `diff ${name} OTHER`)}`,
  });
}

/** The lines of its schema as pg_dump writes it, without what differs from run to run. */
async function schemaOf(home: LocalDir, place: Place, database: string | null): Promise<string[]> {
  const { name, dir, state } = place;
  if (!isRunning(dir))
    throw new ComputeError('conflict', `"${name}" is not running`, {
      hint: `start it with: ${commandFor(home, `start ${name}`)}`,
    });
  const client = new ComputeClient({
    url: `http://127.0.0.1:${state.ports.externalHttp}`,
    token: () => computeToken(state, 600),
    retries: 0,
  });
  const wanted = database ?? state.database;
  const sql = await whileAwake(dir, 'diff', never, async () =>
    textOf(await client.databaseSchema(wanted)),
  ).catch((error: unknown) => {
    throw unread(home, name, wanted, error);
  });
  return sql.split('\n').filter((line) => !/^(\\(un)?restrict |-- Dumped )/.test(line));
}

function unread(home: LocalDir, name: string, database: string, cause: unknown): ComputeError {
  if (cause instanceof ComputeHttpError && cause.status === 404)
    return new ComputeError('not_found', `"${name}" has no database ${JSON.stringify(database)}`, {
      hint: `see which it has: ${commandFor(home, `psql ${name} -l`)}`,
    });
  return new ComputeError('conflict', `the schema of "${name}" could not be read`, {
    cause,
    hint: `see whether it works: ${commandFor(home, `status ${name}`)}`,
  });
}

const painted =
  (paint: Paint) =>
  (line: string): string => {
    if (line.startsWith('@')) return paint('dim', line);
    if (line.startsWith('+')) return paint('green', line);
    return line.startsWith('-') ? paint('red', line) : line;
  };
