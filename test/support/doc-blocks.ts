import { type Token, lexer } from 'marked';

/** What the comment above a `sh` block says about it. */
export type HowToRun =
  | { readonly kind: 'to-its-end' }
  /** Goes on until the page is done; the next block waits until its output has this text. */
  | { readonly kind: 'background'; readonly until: string }
  | { readonly kind: 'not-run'; readonly why: string };

export interface ShellBlock {
  readonly text: string;
  /** Of its first command, from 1. */
  readonly line: number;
  readonly how: HowToRun;
  /** What it prints, `…` for anything within a line; null where the page does not say it. */
  readonly prints: string | null;
}

/** The `sh` blocks of a page, in their order. A comment right above one says how it is run, `<!-- in the background until: TEXT -->` or
 *  `<!-- not run: REASON -->`; a block below the comment `<!-- it prints -->` is what the one before it prints. */
export function shellBlocks(markdown: string): ShellBlock[] {
  const blocks: ShellBlock[] = [];
  let line = 1;
  let note = '';
  for (const token of lexer(markdown)) {
    if (token.type === 'code') {
      const first = line + 1;
      if (token['lang'] === 'sh') {
        blocks.push({ text: textOf(token), line: first, how: howToRun(note, first), prints: null });
      } else if (note === 'it prints') {
        const of = blocks.pop();
        if (of === undefined) throw new Error(`line ${first}: nothing runs that could print this`);
        blocks.push({ ...of, prints: textOf(token) });
      } else if (note !== '')
        throw new Error(`line ${first}: "${note}" is about a sh block, and this is none`);
      note = '';
    }
    if (token.type === 'html') note = noteIn(token.raw) ?? note;
    line += token.raw.split('\n').length - 1;
  }
  return blocks;
}

const textOf = (token: Token): string => String((token as { text?: unknown }).text);

/** Other comments are none of ours. */
function noteIn(html: string): string | undefined {
  const text = /^<!--\s*([\s\S]*?)\s*-->\s*$/.exec(html)?.[1];
  return text !== undefined && /^(?:in the background|not run|it prints)/.test(text) ? text : undefined;
}

function howToRun(note: string, line: number): HowToRun {
  if (note === '') return { kind: 'to-its-end' };
  const [, what = '', rest = ''] = /^(in the background until|not run): ([\s\S]+)$/.exec(note) ?? [];
  if (what === 'not run') return { kind: 'not-run', why: rest };
  if (what !== '') return { kind: 'background', until: rest };
  throw new Error(`line ${line}: "${note}" does not say how the block is run`);
}

/** The first line of `expected` that `printed` does not have in its place, in words; null when they agree. Lines before and
 *  after the expected ones may be there. */
export function missingLine(expected: string, printed: string): string | null {
  const lines = printed.split('\n').map((one) => one.trimEnd());
  const wanted = expected.split('\n').map((one) => one.trimEnd());
  let last = wanted[0] ?? '';
  for (let from = 0; from + wanted.length <= lines.length; from++) {
    const wrong = wanted.find((one, at) => !matches(one, lines[from + at] ?? ''));
    if (wrong === undefined) return null;
    if (wrong !== wanted[0]) last = wrong;
  }
  return last === '' ? '(an empty line)' : last;
}

function matches(wanted: string, line: string): boolean {
  const parts = wanted.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`).test(line);
}
