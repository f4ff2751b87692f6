import { isUtf8 } from 'node:buffer';
import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { ComputeError } from '../../core/errors.ts';
import { shellWord } from '../../core/shell-word.ts';
import { readBytesByLink } from '../../process/regular-file.ts';
import { type LocalDir, commandFor } from '../state.ts';
import { readAccepted } from './accepted.ts';
import { fileName } from './names.ts';
import { FileProblems, type Problem } from './problem.ts';
import { ruleProblems } from './rules.ts';
import { type Desired, desiredSchema } from './schema.ts';
import { shapeProblems } from './shape.ts';
import { type Source, membersOf, parseSource, placed } from './source.ts';

/** What a file asks for, and where each part stands. */
export interface ReadFile {
  readonly source: Source;
  readonly desired: Desired;
}

/** The path of the file: as given, or in the directory. */
export const fileOf = ({ root }: LocalDir, given: string | null): string =>
  given === null ? join(root, fileName) : resolve(given);

/** A command line for hints, with the file where it is not that of the directory. */
export const commandWith = (dir: LocalDir, words: string, given: string | null): string =>
  commandFor(dir, given === null ? words : `${words} --file ${shellWord(given)}`);

/** For what the file no longer names. */
export const dropCommands = (dir: LocalDir, given: string | null) => ({
  prune: commandWith(dir, 'apply --prune', given),
  psql: commandFor(dir, 'psql --admin'),
});

/** Reads and checks a compute.json.
 *  @throws ComputeError `not_found`; FileProblems `config_unreadable`, `spec_invalid` with everything that is wrong */
export function readDesired(dir: LocalDir, given: string | null): ReadFile {
  const path = fileOf(dir, given);
  return checkedSource(parseSource(path, textOf(dir, path)));
}

/** Some editors write it before the text, which counts without it. */
export const byteOrderMark = '\u{feff}';

/** @throws ComputeError `not_found`, `config_unreadable` */
export function textOf(dir: LocalDir, path: string): string {
  const text = withMark(dir, path);
  return text.startsWith(byteOrderMark) ? text.slice(byteOrderMark.length) : text;
}

/** The same with the mark, where the file has one.
 *  @throws as `textOf` */
export function withMark(dir: LocalDir, path: string): string {
  let bytes: Buffer;
  try {
    bytes = readBytesByLink(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw missing(dir, path);
    // That advises to remove it.
    if (cause instanceof ComputeError && cause.code === 'pgdata_refused')
      throw unusable(cause.message, 'name the one that is meant with --file');
    throw new ComputeError('config_unreadable', `could not read ${path}`, { cause });
  }
  // What is not would be replaced without a word, also in the file when it is changed.
  if (!isUtf8(bytes)) throw unusable(`${path} is not text in UTF-8`, 'save it in that encoding');
  return bytes.toString('utf8');
}

const unusable = (message: string, hint: string): ComputeError =>
  new ComputeError('config_unreadable', message, { hint });

function missing(dir: LocalDir, path: string): ComputeError {
  const target = danglingTarget(path);
  if (target !== null)
    return new ComputeError('not_found', `${path} is a link to ${target}, which is not there`, {
      hint: 'create that file, or remove the link',
    });
  const last = existsSync(dir.root) ? readAccepted(dir)?.file : undefined;
  const hint =
    last === undefined || last === path
      ? `create it with: ${commandFor(dir, 'init')}, or name another one with --file`
      : `what is in force came from ${last}: name it with --file`;
  return new ComputeError('not_found', `there is no ${path}`, { hint });
}

/** Of a link that leads nowhere; null for everything else. */
export function danglingTarget(path: string): string | null {
  if (existsSync(path)) return null;
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(path) : null;
}

/** @throws FileProblems `spec_invalid` */
export function checkedSource(source: Source): ReadFile {
  const given = [...source.twice, ...lists(source.value), ...lostSettings(source)];
  const result = v.safeParse(desiredSchema, source.value);
  if (!result.success || given.length > 0)
    throw problemsIn(source, [...given, ...shapeProblems(result.issues ?? [])]);
  const problems = ruleProblems(result.output);
  if (problems.length > 0) throw problemsIn(source, problems);
  return { source, desired: result.output };
}

/** A list in the place of an object, which the schema takes as one without members. */
const lists = (value: unknown): Problem[] =>
  (['', 'settings'] as const)
    .filter((name) => Array.isArray(name === '' ? value : (value as Partial<Desired> | null)?.[name]))
    .map((name) => ({ path: name === '' ? [] : [name], message: 'expected an object, found a list' }));

/** Names that every object has: the schema passes over them without a word. */
const lostNames = ['__proto__', 'constructor', 'prototype'];

const lostSettings = ({ root }: Source): Problem[] =>
  membersOf(root, ['settings']).flatMap((name) =>
    lostNames.includes(name) ? [{ path: ['settings', name], message: 'is not a name of a setting' }] : [],
  );

/** In the order of the file. */
export function problemsIn(source: Source, problems: readonly Problem[]): FileProblems {
  const all = problems.map((one) => placed(source, one));
  const sorted = all.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return new FileProblems('spec_invalid', source.file, sorted);
}
