import { realpathSync, statSync } from 'node:fs';
import { findNodeAtLocation, getNodeValue } from 'jsonc-parser';
import { ComputeError } from '../../core/errors.ts';
import { writeBeside } from '../../process/files.ts';
import type { JsonPath } from '../../spec/path.ts';
import type { LocalDir } from '../state.ts';
import type { Answer } from './answer.ts';
import { edited } from './edit.ts';
import { parseKey } from './key.ts';
import { byName, namesIn } from './named.ts';
import { freshBeside } from './names.ts';
import { byteOrderMark, checkedSource, commandWith, fileOf, textOf, withMark } from './read.ts';
import { type Source, parseSource } from './source.ts';

export interface ConfigOptions {
  readonly file: string | null;
  readonly unset: boolean;
}

/** Prints one value of compute.json, or changes it. The file is only written when what comes out is valid.
 *  @param args the key and the value, as far as they are given
 *  @returns the exit code
 *  @throws FileProblems; ComputeError `usage`, `not_found` */
export async function config(
  dir: LocalDir,
  { file, unset }: ConfigOptions,
  [key, value]: readonly string[],
  answer: Answer,
): Promise<number> {
  const path = fileOf(dir, file);
  const source = parseSource(path, textOf(dir, path));
  if (key === undefined) {
    if (unset)
      throw new ComputeError('usage', '--unset requires a key', { hint: 'compute-local config KEY --unset' });
    const { desired } = checkedSource(source);
    answer.result({ file: path, value: desired }, JSON.stringify(desired, null, 2));
    return 0;
  }
  const given = parseKey(key);
  const { at } = byName(source, given, undefined);
  if (value === undefined && !unset) {
    const found = valueAt(source, key, at);
    answer.result(
      { file: path, key, value: found },
      typeof found === 'string' ? found : JSON.stringify(found, null, 2),
    );
    return 0;
  }
  if (value !== undefined && unset)
    throw new ComputeError('usage', '--unset takes no value', { hint: `leave out ${JSON.stringify(value)}` });
  const from = nodeValue(source, at);
  if (unset && from === undefined) valueAt(source, key, at);
  const to = unset ? undefined : readAs(source, at, value ?? '');
  const change = byName(source, given, to);
  replace(dir, source, edited(source, change.at, change.value));
  answer.progress(`Changed ${path}. Show what follows from it: ${commandWith(dir, 'plan', file)}`);
  answer.result({ file: path, key, value: to ?? null, before: from ?? null }, '');
  return 0;
}

const nodeValue = ({ root }: Source, at: JsonPath): unknown => {
  const node = findNodeAtLocation(root, [...at]);
  return node === undefined ? undefined : (getNodeValue(node) as unknown);
};

/** @throws ComputeError `not_found` naming what is there */
function valueAt(source: Source, key: string, at: JsonPath): unknown {
  const found = nodeValue(source, at);
  if (found !== undefined) return found;
  const parent = nodeValue(source, at.slice(0, -1));
  const names = namesIn(parent);
  throw new ComputeError('not_found', `${source.file} has no ${key}`, {
    hint:
      names.length === 0
        ? `set it with: compute-local config ${key} VALUE`
        : `there are: ${names.join(', ')}`,
  });
}

/** A value that is JSON is taken as that, and everything else as text. In the place of a text, a number stays text. */
function readAs(source: Source, at: JsonPath, text: string): unknown {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text) as unknown;
  } catch {
    return text;
  }
  const asText = parsed === null || (typeof nodeValue(source, at) === 'string' && typeof parsed !== 'object');
  return typeof parsed !== 'string' && asText ? text : parsed;
}

/** Writes the file with the mode and the byte order mark that it has; a link stays a link.
 *  @throws ComputeError `conflict` when somebody else has changed it meanwhile; `system` */
export function replace(dir: LocalDir, { file, text: before }: Source, { text }: Source): void {
  const path = realpathSync(file);
  const mark = withMark(dir, path).startsWith(byteOrderMark) ? byteOrderMark : '';
  try {
    const options = { mode: statSync(path).mode & 0o777, durable: true, fresh: freshBeside(path) };
    const pending = writeBeside(path, mark + text, options);
    // An editor, or another `config`.
    if (withMark(dir, path) === mark + before) return pending.commit();
    pending.discard();
  } catch (cause) {
    throw new ComputeError('system', `could not write ${path}`, { cause });
  }
  throw new ComputeError('conflict', `${file} was changed by somebody else meanwhile`, {
    hint: 'run the command again',
  });
}
