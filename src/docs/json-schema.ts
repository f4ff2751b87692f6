import { toJsonSchema } from '@valibot/to-json-schema';
import type { Schema } from '../http/route.ts';

/** The part of JSON Schema that our schemas use. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly description?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
}

/** Notes for our own messages; JSON Schema does not have them. */
const ours = new Set(['expected', 'integer', 'ignored', 'secret', '$schema']);

/** The input of a valibot schema, as JSON Schema 2020-12. */
export function jsonSchema(schema: Schema): JsonSchema {
  const made = toJsonSchema(schema, {
    typeMode: 'input',
    errorMode: 'ignore',
    target: 'draft-2020-12',
    overrideSchema: ({ valibotSchema, jsonSchema: made }) =>
      valibotSchema.type === 'loose_object' ? { ...made, additionalProperties: {} } : undefined,
  });
  return clean(made) as JsonSchema;
}

function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  const { oneOf, ...node } = value as Record<string, unknown>;
  // The parts of a variant exclude each other, so `anyOf` means the same, and one keyword is easier to read.
  if (oneOf !== undefined) node['anyOf'] = oneOf;
  const isSchema = typeof node['properties'] !== 'string' && node['type'] === 'string';
  const kept = Object.entries(node).filter(([key]) => !(ours.has(key) && typeof node[key] !== 'object'));
  const entries = kept.filter(([key]) => key !== 'ignored').map(([key, part]) => [key, clean(part)]);
  const cleaned = Object.fromEntries(entries) as Record<string, unknown>;
  if (isSchema && node['secret'] === true) cleaned['format'] = 'password';
  // Our patterns ignore case; JSON Schema has no flag for that.
  if (typeof cleaned['pattern'] === 'string') {
    cleaned['pattern'] = cleaned['pattern'].replaceAll('[0-9a-f]', '[0-9a-fA-F]');
  }
  return cleaned;
}

/** Equal for schemas that differ only in their own description, at any position among the members. */
const textOf = (schema: JsonSchema): string =>
  JSON.stringify(Object.entries(schema).filter(([key]) => key !== 'description'));

/** Replaces every part that equals a named schema, apart from descriptions, by a reference.
 *  @param named in the order in which they are compared
 *  @param self the schema's own name, so that it does not become a reference to itself */
export function withReferences(
  schema: JsonSchema,
  named: ReadonlyMap<string, JsonSchema>,
  self?: string,
): JsonSchema {
  const texts = new Map([...named].map(([name, one]) => [textOf(one), name]));
  const visit = (node: JsonSchema, top: boolean): JsonSchema => {
    const name = texts.get(textOf(node));
    if (name !== undefined && !(top && name === self)) {
      const $ref = `#/components/schemas/${name}`;
      return node.description === undefined ? { $ref } : { $ref, description: node.description };
    }
    const { items, anyOf, properties, additionalProperties: more } = node;
    return {
      ...node,
      ...(items && { items: visit(items, false) }),
      ...(anyOf && { anyOf: anyOf.map((one) => visit(one, false)) }),
      ...(properties && {
        properties: Object.fromEntries(
          Object.entries(properties).map(([key, one]) => [key, visit(one, false)]),
        ),
      }),
      ...(typeof more === 'object' && { additionalProperties: visit(more, false) }),
    };
  };
  return visit(schema, true);
}
