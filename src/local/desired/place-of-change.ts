import type { Desired } from './schema.ts';
import type { Change } from './change.ts';
import type { Place } from './problem.ts';
import type { ReadFile } from './read.ts';
import { placeAt } from './source.ts';

/** Where the file asks for an object; null when it does not, as of a setting that was removed. */
export function placeOfChange({ source, desired }: ReadFile, change: Change): Place | null {
  const path = pathOf(desired, change);
  return path === null ? null : placeAt(source, path);
}

function pathOf(desired: Desired, { kind, name }: Change): (string | number)[] | null {
  if (kind === 'setting') {
    const key = Object.keys(desired.settings).find((one) => one.toLowerCase() === name);
    return key === undefined ? null : ['settings', key];
  }
  const [list, names] = {
    role: ['roles', desired.roles.map((one) => one.name)] as const,
    database: ['databases', desired.databases.map((one) => one.name)] as const,
    extension: [
      'extensions',
      desired.extensions.map((one) => (typeof one === 'string' ? one : one.name)),
    ] as const,
  }[kind];
  const at = names.indexOf(name);
  return at === -1 ? null : [list, at];
}
