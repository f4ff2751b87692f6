import type { JsonPath } from './path.ts';

/** A parsed JSON text, and details of how it is written. */
export interface JsonText {
  readonly value: unknown;
  /** Members that occur twice in one object. */
  readonly duplicates: readonly JsonPath[];
  /** Numbers written with a fraction or an exponent. */
  readonly fractions: readonly JsonPath[];
}

/** The text is not JSON; the message gives line and column and never quotes the text, which may hold secrets. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/** Deeper documents are refused, so that code that walks them cannot exhaust the stack. */
const maxDepth = 128;

/** Reads JSON. The slower inspection of how it is written runs only when there is something to find.
 *  @throws JsonSyntaxError */
export async function parseJson(text: string): Promise<JsonText> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Looking for the error takes a function call for each level.
    if (isTooDeep(text)) throw tooDeep();
    const { locateSyntaxError } = await import('./json-inspect.ts');
    throw new JsonSyntaxError(locateSyntaxError(text));
  }
  const members = countMembers(value);
  const written = scan(text);
  if (written.keys === members && !written.fraction) return { value, duplicates: [], fractions: [] };
  const { inspectJson } = await import('./json-inspect.ts');
  return { value, ...inspectJson(text) };
}

// Every spec has this one number with a fraction; it alone must not cause the slower inspection.
const tokens =
  /"format_version"\s*:\s*-?[\d.eE+-]+|"[^"\\]*(?:\\.[^"\\]*)*"(?<colon>\s*:)?|-?\d[\d.]*(?<exponent>[eE][\d+-]*)?/g;

function scan(text: string): { keys: number; fraction: boolean } {
  let keys = 0;
  let fraction = false;
  for (const [token, colon, exponent] of text.matchAll(tokens)) {
    if (token.startsWith('"format_version"') || colon !== undefined) keys++;
    else if (!token.startsWith('"')) fraction ||= exponent !== undefined || token.includes('.');
  }
  return { keys, fraction };
}

function countMembers(root: unknown): number {
  let members = 0;
  const left: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value, depth } = next;
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= maxDepth) throw tooDeep();
    const children = Object.values(value) as unknown[];
    if (!Array.isArray(value)) members += children.length;
    for (const child of children) left.push({ value: child, depth: depth + 1 });
  }
  return members;
}

const tooDeep = (): JsonSyntaxError => new JsonSyntaxError(`nested deeper than ${maxDepth} levels`);

/** For a text that is not JSON: counts brackets outside of strings. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"?|[[\]{}]/gs)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
    if (depth > maxDepth) return true;
  }
  return false;
}
