import * as v from 'valibot';
import type { JsonPath } from './path.ts';
import type { Notes } from './schema/kit.ts';

/** The part of valibot's schemas that messages and the reference page read. */
export interface SchemaNode extends v.GenericSchema {
  readonly wrapped?: SchemaNode;
  readonly entries?: Readonly<Record<string, SchemaNode>>;
  readonly item?: SchemaNode;
  readonly key?: SchemaNode;
  readonly value?: SchemaNode;
  readonly options?: readonly unknown[];
  readonly default?: unknown;
}

/** The value's own schema, without the layers that allow it to be absent or null. */
export function unwrap(schema: SchemaNode): SchemaNode {
  let inner = schema;
  while (inner.wrapped !== undefined) inner = inner.wrapped;
  return inner;
}

export const notesOf = (schema: SchemaNode): Notes => v.getMetadata(unwrap(schema));

/** The schema of the value at `path`; undefined where there is none. */
export function schemaAt(root: SchemaNode, path: JsonPath): SchemaNode | undefined {
  let at: SchemaNode | undefined = root;
  for (const part of path) at = at === undefined ? undefined : childOf(unwrap(at), part);
  return at;
}

function childOf(schema: SchemaNode, part: string | number): SchemaNode | undefined {
  if (typeof part === 'number') return schema.item;
  if (schema.entries !== undefined) {
    return Object.hasOwn(schema.entries, part) ? schema.entries[part] : undefined;
  }
  return schema.value;
}

/** The name of a valid value: `string`, `32 hex digits`, `"libpq" or "grpc"`. */
export function expectedBy(schema: SchemaNode): string {
  const inner = unwrap(schema);
  const { expected } = notesOf(inner);
  if (expected !== undefined) return expected;
  if (inner.type === 'picklist') return (inner.options ?? []).map((one) => JSON.stringify(one)).join(' or ');
  return inner.type === 'record' || inner.type === 'loose_object' ? 'object' : inner.type;
}

interface Child {
  readonly part: string | number;
  /** Undefined: the schema does not have this member. */
  readonly schema: SchemaNode | undefined;
  readonly value: unknown;
}

/** The elements or members of a value, as far as the schema describes them; none where the two do not agree. */
function children(schema: SchemaNode, value: unknown): Child[] {
  const known = schema.type === 'object' || schema.type === 'record' || schema.type === 'array';
  if (!known || typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value) !== (schema.type === 'array')) return [];
  if (Array.isArray(value)) return value.map((item, part) => ({ part, schema: schema.item, value: item }));
  return Object.entries(value).map(([part, member]) => ({
    part,
    schema: childOf(schema, part),
    value: member,
  }));
}

/** Members of `value` that the schema does not know, each once: indexes are left out (`spec.cluster.roles[].x`). */
export function unknownMembers(schema: SchemaNode, value: unknown, prefix: string): string[] {
  const inner = unwrap(schema);
  const { ignored = [] } = notesOf(inner);
  const found = children(inner, value).flatMap((child) => {
    const step = inner.type === 'object' ? `.${child.part}` : '[]';
    const path = `${prefix}${step}`.replace(/^\./, '');
    if (child.schema !== undefined) return unknownMembers(child.schema, child.value, path);
    return ignored.includes(String(child.part)) ? [] : [path];
  });
  return [...new Set(found)];
}

/** Paths of arrays in place of objects, which valibot accepts. */
export function misplacedArrays(schema: SchemaNode, value: unknown, path: JsonPath): JsonPath[] {
  const inner = unwrap(schema);
  const object = inner.type === 'object' || inner.type === 'record' || inner.type === 'loose_object';
  if (object && Array.isArray(value)) return [path];
  return children(inner, value).flatMap((child) =>
    child.schema === undefined ? [] : misplacedArrays(child.schema, child.value, [...path, child.part]),
  );
}
