import {
  type Node,
  type ParseError,
  findNodeAtLocation,
  getNodeValue,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import type { JsonPath } from '../../spec/path.ts';
import { FileProblems, type Place, type PlacedProblem, type Problem, shownPath } from './problem.ts';

/** A compute.json as text, with what it says and where. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly root: Node;
  readonly value: unknown;
  /** Members that are given twice. */
  readonly twice: readonly Problem[];
}

/** Reads JSON with comments and trailing commas.
 *  @throws FileProblems `config_unreadable` with line and column */
export function parseSource(file: string, text: string): Source {
  try {
    const errors: ParseError[] = [];
    const root = parseTree(text, errors, { allowTrailingComma: true });
    const [first] = errors;
    if (first !== undefined) throw unreadable(file, text, first.offset, words(first));
    if (root === undefined) throw unreadable(file, text, 0, 'it is empty');
    return { file, text, root, value: getNodeValue(root), twice: duplicates(root) };
  } catch (error) {
    // Each of them calls itself for each level.
    if (!(error instanceof RangeError)) throw error;
    throw unreadable(file, text, 0, 'it is nested too deeply');
  }
}

const words = ({ error }: ParseError): string =>
  printParseErrorCode(error)
    .replaceAll(/(?<!^)([A-Z])/g, ' $1')
    .toLowerCase();

const unreadable = (file: string, text: string, offset: number, why: string): FileProblems =>
  new FileProblems('config_unreadable', file, [
    { path: '', ...placeOf(text, offset), message: `not valid JSON: ${why}` },
  ]);

function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** Where the value at a path stands; of a path that is not there, the closest part that is. */
export function placed(source: Source, { path, message }: Problem): PlacedProblem {
  return { ...placeAt(source, path), message };
}

/** The same without a message. */
export function placeAt({ root, text }: Source, path: JsonPath): Place {
  let at = [...path];
  let node = findNodeAtLocation(root, at);
  while (node === undefined && at.length > 0) {
    at = at.slice(0, -1);
    node = findNodeAtLocation(root, at);
  }
  // The name, for a member that is wrong as such.
  const shown = node?.parent?.type === 'property' ? node.parent : (node ?? root);
  return { path: shownPath(path), ...placeOf(text, shown.offset) };
}

/** The names of an object's members; none where there is no object. */
export function membersOf(root: Node, path: JsonPath): string[] {
  const { type, children = [] } = findNodeAtLocation(root, [...path]) ?? {};
  return type === 'object' ? children.map(({ children: [key] = [] }) => String(key?.value)) : [];
}

/** Members that are given twice, of which a parser keeps only one. */
function duplicates(node: Node, path: JsonPath = []): Problem[] {
  const { type, children = [] } = node;
  if (type === 'array') return children.flatMap((child, at) => duplicates(child, [...path, at]));
  if (type !== 'object') return [];
  const seen = new Set<string>();
  return children.flatMap(({ children: [key, value] = [] }) => {
    const name = String(key?.value);
    const here = [...path, name];
    const again = seen.has(name);
    seen.add(name);
    return [
      ...(again ? [{ path: here, message: 'is given twice' }] : []),
      ...(value === undefined ? [] : duplicates(value, here)),
    ];
  });
}
