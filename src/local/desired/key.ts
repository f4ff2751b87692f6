import { ComputeError } from '../../core/errors.ts';
import type { JsonPath } from '../../spec/path.ts';

const part = /^(?:\.?([A-Za-z_$][\w$-]*)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\])/;

/** Reads a key as messages show it: `settings.work_mem`, `databases[1].owner`, `settings["a.b"]`; `databases.shop.owner` by
 *  name. What follows `settings.` is one
 *  name, since names of settings have dots themselves.
 *  @throws ComputeError `usage` */
export function parseKey(key: string): JsonPath {
  if (/^settings\.[^[]+$/.test(key)) return ['settings', key.slice('settings.'.length)];
  const path: (string | number)[] = [];
  let rest = key;
  while (rest !== '') {
    const [all, name, index, quoted] = part.exec(rest) ?? [];
    if (all === undefined || (path.length === 0 && all.startsWith('.'))) throw unreadable(key);
    path.push(index === undefined ? (name ?? unquoted(quoted ?? '', key)) : Number(index));
    rest = rest.slice(all.length);
    if (rest !== '' && !/^[.[]/.test(rest)) throw unreadable(key);
  }
  if (path.length === 0) throw unreadable(key);
  return path;
}

function unquoted(text: string, key: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    throw unreadable(key);
  }
}

const unreadable = (key: string): ComputeError =>
  new ComputeError('usage', `cannot read the key ${JSON.stringify(key)}`, {
    hint: 'write it as in settings.work_mem, databases.shop.owner, roles[0].name or roles["two words"].createdb',
  });
