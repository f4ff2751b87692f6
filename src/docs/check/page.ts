import { type Token, type Tokens, lexer } from 'marked';

/** A part of a page that may name something. */
export interface Piece {
  /** `span`: inline code. `block`: one line of a code block. `prose`: text without markup. */
  readonly kind: 'span' | 'block' | 'prose';
  /** Of a block: the word after the fence, empty without one. */
  readonly lang: string;
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

export interface Link {
  readonly href: string;
  readonly line: number;
}

export interface Page {
  readonly pieces: readonly Piece[];
  readonly links: readonly Link[];
  /** What `#…` may follow the page's name in a link. */
  readonly anchors: ReadonlySet<string>;
}

/** What a Markdown page says, each part with its line. */
export function readPage(markdown: string): Page {
  const text = markdown.replaceAll('\r\n', '\n');
  const pieces: Piece[] = [];
  const links: Link[] = [];
  const headings: string[] = [];
  const anchors = new Set<string>();
  const lineOf = lineFinder(text);

  const visit = (token: Token): void => {
    const inner = innerOf(token);
    const line = lineOf(token.raw, inner.length === 0);
    if (token.type === 'codespan') pieces.push({ kind: 'span', lang: '', text: String(token.text), line });
    else if (token.type === 'code') pieces.push(...blockLines(token as Tokens.Code, line));
    else if (token.type === 'html') readHtml(token.raw, line, links, anchors);
    else if (token.type === 'text' && inner.length === 0)
      pieces.push({ kind: 'prose', lang: '', text: String(token.text), line });
    if (token.type === 'link' || token.type === 'image') links.push({ href: String(token.href), line });
    if (token.type === 'heading') headings.push(plainText(token));
    for (const one of inner) visit(one);
  };
  for (const token of lexer(text)) visit(token);
  for (const slug of slugs(headings)) anchors.add(slug);
  return { pieces, links, anchors };
}

/** The tokens inside of one, in the order of the page. */
function innerOf(token: Token): readonly Token[] {
  if (token.type === 'table') {
    const { header, rows } = token as Tokens.Table;
    return [header, ...rows].flat().flatMap((cell) => cell.tokens);
  }
  if (token.type === 'list') return (token as Tokens.List).items;
  return token.type === 'image' ? [] : ((token as Tokens.Generic).tokens ?? []);
}

/** The line of each token, given in the order of the page. A token that stands there in another form (in an indented list)
 *  counts to the line of the one before. */
function lineFinder(text: string): (raw: string, isLeaf: boolean) => number {
  let cursor = 0;
  return (raw, isLeaf) => {
    const found = text.indexOf(raw, cursor);
    const at = found === -1 ? text.indexOf(raw.replaceAll('|', String.raw`\|`), cursor) : found;
    if (at === -1) return text.slice(0, cursor).split('\n').length;
    cursor = isLeaf ? at + raw.length : at;
    const empty = /^\n*/.exec(raw)?.[0].length ?? 0;
    return text.slice(0, at + empty).split('\n').length;
  };
}

/** A line that ends in a backslash is one with the next. */
function blockLines({ text, lang = '', raw }: Tokens.Code, line: number): Piece[] {
  const first = raw.trimStart().startsWith('```') ? line + 1 : line;
  const word = lang.split(/\s/, 1)[0] ?? '';
  const pieces: Piece[] = [];
  let before = '';
  for (const [at, one] of text.split('\n').entries()) {
    const joined = before + one;
    before = joined.endsWith('\\') ? joined.slice(0, -1) : '';
    if (before === '') pieces.push({ kind: 'block', lang: word, text: joined, line: first + at });
  }
  return pieces;
}

function readHtml(html: string, line: number, links: Link[], anchors: Set<string>): void {
  for (const [, name, value = ''] of html.matchAll(/\b(href|src|id|name)="([^"]*)"/g)) {
    if (name === 'href' || name === 'src') links.push({ href: value, line });
    else anchors.add(value);
  }
}

function plainText(token: Token): string {
  const inner = innerOf(token);
  return inner.length === 0 ? String((token as Tokens.Generic)['text'] ?? '') : inner.map(plainText).join('');
}

/** The anchors of a page's headings, as GitHub makes them. */
function slugs(headings: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return headings.map((heading) => {
    const letters = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '');
    const slug = letters.trim().replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times === 0 ? slug : `${slug}-${times}`;
  });
}
