import { type ParseError, parse, printParseErrorCode, visit } from 'jsonc-parser';
import type { JsonPath } from './path.ts';

/** Where the text is not valid JSON: `line 3, column 5: comma expected`. */
export function locateSyntaxError(text: string): string {
  const errors: ParseError[] = [];
  parse(text, errors, { allowTrailingComma: false, disallowComments: true });
  const [first] = errors;
  if (first === undefined) return 'a character that JSON does not allow';
  const before = text.slice(0, first.offset).split('\n');
  const column = (before.at(-1)?.length ?? 0) + 1;
  return `line ${before.length}, column ${column}: ${words(printParseErrorCode(first.error))}`;
}

const words = (code: string): string => code.replaceAll(/(?<!^)([A-Z])/g, ' $1').toLowerCase();

/** Finds what `JSON.parse` accepts without a trace: members that occur twice, numbers written with a fraction. */
export function inspectJson(text: string): { duplicates: JsonPath[]; fractions: JsonPath[] } {
  const duplicates: JsonPath[] = [];
  const fractions: JsonPath[] = [];
  const open: Set<string>[] = [];
  visit(
    text,
    {
      onObjectBegin: () => {
        open.push(new Set());
      },
      onObjectEnd: () => {
        open.pop();
      },
      onObjectProperty: (name, _offset, _length, _line, _column, path) => {
        const seen = open.at(-1);
        if (seen?.has(name) === true) duplicates.push([...path(), name]);
        seen?.add(name);
      },
      onLiteralValue: (value, offset, length, _line, _column, path) => {
        if (typeof value !== 'number') return;
        if (/[.eE]/.test(text.slice(offset, offset + length))) fractions.push(path());
      },
    },
    { disallowComments: true },
  );
  return { duplicates, fractions };
}
