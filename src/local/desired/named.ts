import { ComputeError } from '../../core/errors.ts';
import type { JsonPath } from '../../spec/path.ts';
import type { Source } from './source.ts';

/** One value of a file, and where it stands. */
export interface Target {
  readonly at: JsonPath;
  /** What is to stand there; undefined: nothing. */
  readonly value: unknown;
}

/** The lists whose items have a name. */
const lists = ['roles', 'databases', 'extensions'];

/** Names of items in place of their numbers: `databases.shop.owner` is `databases[1].owner` where that is called shop. A name that
 *  the list does not have becomes an item behind the last one.
 *  @param value undefined: it is to be read or removed
 *  @throws ComputeError `usage` where an item cannot be that value */
export function byName({ value: whole }: Source, path: JsonPath, value: unknown): Target {
  const [list, name, ...rest] = path;
  if (typeof list !== 'string' || typeof name !== 'string' || !lists.includes(list))
    return { at: path, value };
  const items = itemsOf(whole, list);
  const index = items.findIndex((item) => nameOf(item) === name);
  if (index !== -1 && (rest.length === 0 || typeof items[index] === 'object')) {
    const given = rest.length === 0 && value !== undefined ? itemOf(list, name, value) : value;
    return { at: [list, index, ...rest], value: given };
  }
  const at = [list, index === -1 ? items.length : index];
  if (value === undefined) return { at: [...at, ...rest], value };
  const [member, ...deeper] = rest;
  if (deeper.length > 0)
    throw new ComputeError('usage', `${list} has no "${name}" with ${String(member)}`, {
      hint: `give the whole of it: compute-local config ${list}.${name}.${String(member)} VALUE`,
    });
  const item = itemOf(list, name, member === undefined ? value : { [member]: value });
  return whole !== null && Object.hasOwn(whole as object, list)
    ? { at, value: item }
    : { at: [list], value: [item] };
}

function itemsOf(whole: unknown, list: string): readonly unknown[] {
  const items = (whole as Readonly<Record<string, unknown>> | null)?.[list];
  return Array.isArray(items) ? items : [];
}

/** The keys that lead further: members of an object, names or numbers of a list. */
export function namesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.map((item, index) => nameOf(item) ?? `[${index}]`);
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

function nameOf(item: unknown): string | null {
  const name = typeof item === 'object' && item !== null ? (item as { readonly name?: unknown }).name : item;
  return typeof name === 'string' ? name : null;
}

function itemOf(list: string, name: string, value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { name, ...value };
  throw new ComputeError('usage', `an item of ${list} is an object, and not ${JSON.stringify(value)}`, {
    hint: `such as: compute-local config ${list}.${name} '{}', or one member of it: ${list}.${name}.MEMBER`,
  });
}
