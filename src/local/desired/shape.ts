import type * as v from 'valibot';
import { did } from '../../config/clearer.ts';
import type { JsonPath } from '../../spec/path.ts';
import type { Problem } from './problem.ts';
import { desiredSchema } from './schema.ts';

/** The part of valibot's schemas that is read here. */
interface Node {
  readonly type: string;
  readonly wrapped?: Node;
  readonly entries?: Readonly<Record<string, Node>>;
  readonly item?: Node;
  readonly value?: Node;
  readonly options?: readonly Node[];
}

/** What does not have the declared shape: unknown members, missing ones, wrong types. */
export function shapeProblems(issues: readonly v.BaseIssue<unknown>[]): Problem[] {
  return issues.flatMap((issue) => problemsOf(issue, []));
}

function problemsOf(issue: v.BaseIssue<unknown>, before: JsonPath): Problem[] {
  const path = [...before, ...(issue.path ?? []).map(({ key }) => key as string | number)];
  // Of a choice, the alternative that the value was meant for is the one that went further into it.
  if (issue.type === 'union') {
    const deeper = (issue.issues ?? []).filter(({ path: below }) => below !== undefined);
    if (deeper.length > 0) return deeper.flatMap((one) => problemsOf(one, path));
  }
  return [{ path, message: words(issue, path) }];
}

function words({ type, expected, input }: v.BaseIssue<unknown>, path: JsonPath): string {
  if (type === 'strict_object' && expected === 'never') return unknownMember(path);
  if (input === undefined) return 'is missing';
  return `expected ${meant(path, expected)}, found ${shown(input)}`;
}

const passwordHint =
  'cannot be given: compute-local generates a password for each role, and `compute-local url --role NAME` prints it';

function unknownMember(path: JsonPath): string {
  const name = String(path.at(-1));
  if (path[0] === 'roles' && name === 'password') return passwordHint;
  const names = Object.keys(schemaAt(path.slice(0, -1))?.entries ?? {});
  return `is not known${did(name, names) || (names.length === 0 ? '' : `; the members are ${names.join(', ')}`)}`;
}

/** The schema at a path; of a choice, its object. */
function schemaAt(path: JsonPath): Node | undefined {
  let at: Node | undefined = inner(desiredSchema);
  for (const part of path) {
    const node: Node | undefined = at?.options?.find(({ entries }) => entries !== undefined) ?? at;
    const next: Node | undefined =
      typeof part === 'number' ? node?.item : (node?.entries?.[part] ?? node?.value);
    at = next === undefined ? undefined : inner(next);
  }
  return at?.options?.find(({ entries }) => entries !== undefined) ?? at;
}

function inner(node: Node): Node {
  let at = node;
  while (at.wrapped !== undefined) at = at.wrapped;
  return at;
}

function meant(path: JsonPath, expected: string | null): string {
  if (path.length === 2 && path[0] === 'extensions') return 'a name, or an object with one';
  const schema = schemaAt(path);
  if (schema?.type === 'array') return 'a list';
  if (schema?.type === 'strict_object' || schema?.type === 'record') return 'an object';
  if (schema?.type === 'union') return 'text, a number, true or false';
  if (schema?.type === 'boolean') return 'true or false';
  if (schema?.type === 'string') return 'text';
  return schema?.type === 'number' && /^[<>]/.test(expected ?? '')
    ? `a number ${expected}`
    : 'a whole number';
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : 'an object';
}
