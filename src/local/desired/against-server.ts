import { did } from '../../config/clearer.ts';
import type { Accepted } from './accepted.ts';
import type { Observed } from './observe.ts';
import { installHint, preloadOf } from './packages.ts';
import type { Problem } from './problem.ts';

/** What only the server knows: names of settings, and which extensions are installed on this machine. Pure. */
export function serverProblems(wanted: Accepted, names: readonly string[], observed: Observed): Problem[] {
  const settings = names.filter((name) => !name.includes('.') && !observed.settings.has(name.toLowerCase()));
  const known = [...observed.settings.keys()];
  return [
    ...settings.map((name) => ({
      path: ['settings', name],
      message: `PostgreSQL ${observed.major} has no such setting${did(name.toLowerCase(), known)}`,
    })),
    ...wanted.extensions.flatMap(({ name }, at): Problem[] =>
      observed.available.has(name) ? [] : [{ path: ['extensions', at], message: missing(name, observed) }],
    ),
  ];
}

function missing(name: string, { major, available }: Observed): string {
  const meant = preloadOf(name) === null ? did(name, [...available.keys()]) : '';
  return `the extension ${JSON.stringify(name)} is not installed on this machine${meant}; ${installHint(name, major)}`;
}
