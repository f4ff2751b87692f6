import type * as v from 'valibot';
import { ComputeError } from '../core/errors.ts';
import type { JsonText } from './json.ts';
import { type JsonPath, showPath } from './path.ts';
import { type SchemaNode, expectedBy, misplacedArrays, notesOf, schemaAt } from './walk.ts';

/** More lines than this do not help the reader. */
const maxProblems = 100;

/** All problems of a document as one error, with one line per problem. */
export function shapeError(problems: readonly string[]): ComputeError {
  const lines = [...new Set(problems)];
  const more = lines.length - maxProblems;
  if (more > 0) lines.splice(maxProblems, more, `… and ${more} more`);
  return new ComputeError('spec_shape', lines.join('\n'));
}

/** One line for a mismatch: `spec.cluster.roles[1].name: expected string, found 5`. Secrets show their type only. */
export function describeIssue(root: SchemaNode, issue: v.BaseIssue<unknown>, prefix: JsonPath): string {
  const items = issue.path ?? [];
  const path = items.map((item) => item.key as string | number);
  const at = showPath([...prefix, ...path]);
  if (items.at(-1)?.origin === 'key' && issue.type !== 'object') {
    const key = schemaAt(root, path.slice(0, -1));
    return `${at}: the name of a member is wrong: expected ${key?.key === undefined ? 'another' : expectedBy(key.key)}`;
  }
  const schema = schemaAt(root, path);
  const expected = schema === undefined ? (issue.expected ?? 'another value') : expectedBy(schema);
  // The private parts of keys are in members that the schema does not list.
  const secret = schema === undefined || notesOf(schema).secret === true;
  if (issue.input === undefined) return `${at}: missing, expected ${expected}`;
  return `${at}: expected ${expected}, found ${secret ? typeName(issue.input) : show(issue.input)}`;
}

/** Problems that the schema does not find: members given twice, integers written with a fraction, arrays instead of objects. */
export function describeSlips(root: SchemaNode, json: JsonText, prefix: JsonPath): string[] {
  const twice = json.duplicates.map((path) => `${showPath([...prefix, ...path])}: given twice`);
  const fractions = json.fractions
    .filter((path) => {
      const schema = schemaAt(root, path);
      return schema !== undefined && notesOf(schema).integer === true;
    })
    .map((path) => `${showPath([...prefix, ...path])}: expected integer, found a number with a fraction`);
  const arrays = misplacedArrays(root, json.value, prefix).map(
    (path) => `${showPath(path)}: expected object, found array`,
  );
  return [...twice, ...fractions, ...arrays];
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeName(value);
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
