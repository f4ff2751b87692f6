import type { Known, KnownRoute } from './known.ts';
import { unknown } from './nearest.ts';

/** Directories of every system. */
const ofSystem = /^\/(?:bin|dev|etc|home|lib|opt|proc|root|run|srv|sys|tmp|usr|var|neonvm)(?:\/|$)/;

/** What is wrong with the path of a request, such as `/terminate?mode=fast`; `/lfc/*` stands for several. */
export function wrongRoute(text: string, known: Known, method: string | null): string[] {
  const [path = '', query = ''] = text.replace(/[.,:;)]+$/, '').split('?');
  const what = method === null ? `the route ${path}` : `the route ${method} ${path}`;
  const found = known.routes.filter((route) => matches(path, route));
  if (found.length === 0) {
    if (isOfOthers(path, known) || (method === null && (ofSystem.test(path) || isInSources(path, known))))
      return [];
    return [unknown(what, path, new Set(known.routes.map((route) => route.path)))];
  }
  const methods = found.map((route) => route.method);
  const asked = method === 'HEAD' ? 'GET' : method;
  if (asked !== null && !methods.some((one) => one === asked))
    return [`${what} does not exist: is it ${methods.join(' or ')} ${path}?`];
  const keys = query.split('&').map((part) => part.split('=')[0] ?? '');
  const allowed = found.flatMap((route) => route.query);
  return keys
    .filter((key) => key !== '' && !allowed.includes(key))
    .map((key) => unknown(`the parameter ?${key}= of ${path}`, key, allowed));
}

function matches(path: string, route: KnownRoute): boolean {
  if (path.endsWith('/*')) return route.path.startsWith(path.slice(0, -1));
  if (route.suffix === null) return path === route.path;
  return path.startsWith(route.path) && path.endsWith(route.suffix);
}

/** A path of a control plane, which we ask or play: up to the first name that stands for any. */
function isOfOthers(path: string, known: Known): boolean {
  const fixed = path.replace(/\/(?:[A-Z]|[{<]).*$/, '/');
  return fixed !== path && fixed.split('/').length > 3 && isInSources(fixed, known);
}

/** A path as a text of its own. */
const isInSources = (path: string, { sources }: Known): boolean =>
  ["'", '`', '"', '}'].some((before) => sources.includes(`${before}${path}`));

const ofRepository = /\.(?:ts|mts|mjs|cjs|md|sql|ya?ml)$/;
/** A segment that stands for any name. */
const isOpen = (segment: string): boolean =>
  segment === '' || /[<>*…{}]|^[A-Z]+(?:\.|$)|^\$|^\.{1,2}$/.test(segment);

/** What is wrong with the path of a file or directory, of the repository or of a running compute. */
export function wrongFile(given: string, page: string, known: Known): string[] {
  const path = given.replace(/^\.\//, '').replace(/\/…?$/, '');
  const dir = page.includes('/') ? page.slice(0, page.lastIndexOf('/') + 1) : '';
  const places = [path, `src/${path}`, `${dir}${path}`, `docs/${path}`];
  if (places.some((one) => isThere(one, known))) return [];
  if (!path.includes('/') && [...known.files].some((file) => file.endsWith(`/${path}`))) return [];
  const top = path.split('/')[0] ?? '';
  const isTop = path.includes('/') && [...known.files].some((file) => file.startsWith(`${top}/`));
  if (ofRepository.test(path) || isTop) return [unknown(`the file ${path}`, path, known.files)];
  // A program makes it, so each of its names must occur in the sources.
  const segment = path.split('/').find((one) => !isOpen(one) && !occurs(one, known));
  return segment === undefined ? [] : [unknown(`the file ${path}`, segment, fileNames(known))];
}

/** As a whole name, not as a part of a longer one. */
function occurs(name: string, { sources }: Known): boolean {
  return new RegExp(`(?<![\\w-])${escaped(name)}(?![\\w-])`).test(sources);
}

const fileNames = ({ sources }: Known): Set<string> =>
  new Set(sources.match(/(?<=['"`/])[\w.-]+\.[a-z]+(?=['"`])/g) ?? []);

function isThere(path: string, { files }: Known): boolean {
  if (files.has(path)) return true;
  if (!path.includes('*')) return [...files].some((file) => file.startsWith(`${path}/`));
  const pattern = escaped(path).replaceAll('*', '[^/]*');
  return [...files].some((file) => new RegExp(`^${pattern}$`).test(file));
}

const escaped = (text: string): string => text.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
