import { dirname, join, normalize } from 'node:path/posix';
import { type Exceptions, exceptions as allExceptions } from './exceptions.ts';
import { wrongNames } from './judge.ts';
import { type Known, knownOf } from './known.ts';
import { unknown } from './nearest.ts';
import { type Link, type Page, readPage } from './page.ts';
import type { Repository } from './repository.ts';

export interface Source {
  /** From the root of the repository. */
  readonly file: string;
  readonly text: string;
}

/** The pages that must be true. */
export const isChecked = (file: string): boolean =>
  /^(?:README|CONTRIBUTING|CHANGELOG)\.md$|^(?:docs|examples)\/.*\.md$/.test(file);

/** In a history a name may be one that is gone, but a link must lead somewhere. */
const isHistory = (file: string): boolean => file === 'CHANGELOG.md';

/** Pages that a test has printed: in their code stands what people type wrong, on purpose. Their prose is judged. */
export const isTranscript = (file: string): boolean => file === 'docs/troubleshooting.md';

/** Everything that the pages name and that does not exist, as `file:line: …`. */
export function wrongFacts(
  sources: readonly Source[],
  repository: Repository,
  exceptions: readonly Exceptions[] = allExceptions,
): string[] {
  const known = knownOf(repository);
  const pages = new Map(sources.map(({ file, text }) => [file, readPage(text)]));
  const unused = new Set(exceptions.flatMap(({ names }) => names));
  const allowed: ReadonlySet<string> = new Set(unused);
  const isException = (name: string): boolean => {
    unused.delete(name);
    return allowed.has(name);
  };
  const wrong = [...pages].flatMap(([file, { links, pieces }]) => [
    ...links.flatMap((link) => wrongLink(link, file, pages, known)),
    ...pieces
      .filter(({ kind }) => !isHistory(file) && !(kind !== 'prose' && isTranscript(file)))
      .flatMap((piece) =>
        wrongNames(piece, { known, page: file, isException }).map((what) => `${file}:${piece.line}: ${what}`),
      ),
  ]);
  const stale = [...unused].map(
    (name) => `src/docs/check/exceptions.ts: no page needs ${name}: remove the exception`,
  );
  return [...new Set(wrong), ...stale];
}

function wrongLink(
  { href, line }: Link,
  file: string,
  pages: ReadonlyMap<string, Page>,
  { files }: Known,
): string[] {
  const at = `${file}:${line}: `;
  if (/^(?:https?:|mailto:)/.test(href))
    return URL.canParse(href) ? [] : [`${at}the link ${href} is not a URL`];
  const [path = '', anchor = ''] = href.split('#');
  const target = path === '' ? file : normalize(join(dirname(file), decodeURI(path))).replace(/\/$/, '');
  const isDir = [...files].some((one) => one.startsWith(`${target}/`));
  if (!files.has(target) && !pages.has(target) && !isDir)
    return [`${at}${unknown(`the target of the link ${href}`, target, files)}`];
  const page = pages.get(target);
  if (anchor === '' || page === undefined || page.anchors.has(anchor)) return [];
  return [`${at}${unknown(`the anchor #${anchor} of ${target}`, anchor, page.anchors)}`];
}
