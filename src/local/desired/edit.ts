import { type Edit, type Node, applyEdits, createScanner, findNodeAtLocation, modify } from 'jsonc-parser';
import { ComputeError } from '../../core/errors.ts';
import type { JsonPath } from '../../spec/path.ts';
import { checkedSource } from './read.ts';
import { type Source, parseSource } from './source.ts';

/** The text with one value changed, and all else as it was, comments too.
 *  @param value undefined: the value is removed
 *  @throws FileProblems when what comes out is not valid; ComputeError `usage` where nothing can be put */
export function edited(source: Source, at: JsonPath, value: unknown): Source {
  const next = parseSource(source.file, applyEdits(source.text, editsOf(source, at, value)));
  checkedSource(next);
  return next;
}

function editsOf(source: Source, at: JsonPath, value: unknown): Edit[] {
  const found = findNodeAtLocation(source.root, [...at]);
  if (value === undefined) return found === undefined ? [] : removal(source.text, found);
  const edits = found === undefined ? insertion(source, at, value) : null;
  if (edits !== null) return edits;
  const eol = source.text.includes('\r\n') ? '\r\n' : '\n';
  const formattingOptions = { insertSpaces: true, tabSize: 2, eol };
  try {
    return modify(source.text, [...at], value, { formattingOptions });
  } catch (cause) {
    throw new ComputeError('usage', `${source.file} has nothing at that key that could be changed`, {
      cause,
      hint: 'look at what is there with: compute-local config',
    });
  }
}

/** Takes a member or an item away. The parser's own way takes comments with it. A comma that is left over at the end is allowed. */
function removal(text: string, node: Node): Edit[] {
  const { offset, length } = node.parent?.type === 'property' ? node.parent : node;
  const end = offset + length;
  const comma = commaAfter(text, end);
  const rest = comma === null ? [] : [{ offset: comma, length: 1, content: '' }];
  const next = comma === end ? end + 1 : end;
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  const isAlone = text.slice(lineStart, offset).trim() === '' && /^[ \t]*\r?\n/.test(text.slice(next));
  if (!isAlone) return [{ offset, length, content: '' }, ...rest];
  const line = { offset: lineStart, length: text.indexOf('\n', next) + 1 - lineStart, content: '' };
  // A comma may stand before the next one, on its line.
  return next === end ? [line, ...rest] : [line];
}

/** Puts a member or an item on a line of its own, behind the last one and the comment on its line; null where the last one shares
 *  its line with what follows. */
function insertion({ root, text }: Source, at: JsonPath, value: unknown): Edit[] | null {
  const parent = findNodeAtLocation(root, at.slice(0, -1));
  const last = parent?.children?.at(-1);
  const key = at.at(-1);
  const isNext = parent?.type === 'array' ? key === parent.children?.length : typeof key === 'string';
  if (parent === undefined || last === undefined || !isNext) return null;
  const end = last.offset + last.length;
  const [line] =
    /^[ \t]*,?[ \t]*(?:\/\/[^\r\n]*|\/\*[^\r\n]*?\*\/)?[ \t]*(?=\r?\n)/.exec(text.slice(end)) ?? [];
  if (line === undefined) return null;
  const indent = /^[ \t]*/.exec(text.slice(text.lastIndexOf('\n', last.offset - 1) + 1))?.[0] ?? '';
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const name = parent.type === 'array' ? '' : `${JSON.stringify(key)}: `;
  const hadComma = commaAfter(text, end) !== null;
  return [
    ...(hadComma ? [] : [{ offset: end, length: 0, content: ',' }]),
    {
      offset: end + line.length,
      length: 0,
      content: `${eol}${indent}${name}${JSON.stringify(value)}${hadComma ? ',' : ''}`,
    },
  ];
}

/** Where a comma follows, behind blanks and comments; null when none does. */
function commaAfter(text: string, from: number): number | null {
  const scanner = createScanner(text, true);
  scanner.setPosition(from);
  scanner.scan();
  const at = scanner.getTokenOffset();
  return text[at] === ',' ? at : null;
}
