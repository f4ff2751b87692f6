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

/** The schema of the value itself, without the layers that allow it to be absent or null. */
export function unwrap(schema: SchemaNode): SchemaNode {
  let inner = schema;
  while (inner.wrapped !== undefined) inner = inner.wrapped;
  return inner;
}

export const notesOf = (schema: SchemaNode): Notes => v.getMetadata(unwrap(schema));

/** The schema of the value at `path`, undefined where the schema knows nothing. */
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

/** How a valid value is called: `string`, `32 hex digits`, `"libpq" or "grpc"`. */
export function expectedBy(schema: SchemaNode): string {
  const inner = unwrap(schema);
  const { expected } = notesOf(inner);
  if (expected !== undefined) return expected;
  if (inner.type === 'picklist') return (inner.options ?? []).map((one) => JSON.stringify(one)).join(' or ');
  return inner.type === 'record' || inner.type === 'loose_object' ? 'object' : inner.type;
}

/** Members of `value` that the schema does not know, each once: indexes are left out (`spec.cluster.roles[].x`). */
export function unknownMembers(schema: SchemaNode, value: unknown, prefix: string): string[] {
  const found = new Set<string>();
  visit(schema, value, prefix, found);
  return [...found];
}

function visit(schema: SchemaNode, value: unknown, path: string, found: Set<string>): void {
  const inner = unwrap(schema);
  if (typeof value !== 'object' || value === null) return;
  if (inner.type === 'array' && inner.item !== undefined) {
    for (const item of value as unknown[]) visit(inner.item, item, `${path}[]`, found);
  }
  if (inner.type === 'record' && inner.value !== undefined) {
    for (const item of Object.values(value)) visit(inner.value, item, `${path}[]`, found);
  }
  if (inner.type !== 'object') return;
  const { ignored = [] } = notesOf(inner);
  for (const [name, member] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`;
    const known = childOf(inner, name);
    if (known !== undefined) visit(known, member, at, found);
    else if (!ignored.includes(name)) found.add(at);
  }
}
