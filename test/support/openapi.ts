import { readFileSync } from 'node:fs';
import type { JsonSchema } from '../../src/docs/json-schema.ts';

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: JsonSchema }>> }>
  >;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

const file = new URL('../../docs/reference/openapi.json', import.meta.url);
const document = JSON.parse(readFileSync(file, 'utf8')) as Document;

/** What the server answers before it has found an operation: no such path or method, no valid HTTP. */
const beforeRouting = new Set([400, 404, 405, 408, 413, 431, 499, 503]);

export interface Seen {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly contentType: string | null;
  readonly body: string;
}

/** What of an answer the committed OpenAPI document does not allow; empty when all is as it says. Paths that only a
 *  test knows are let pass. */
export function undocumented({ method, target, status, contentType, body }: Seen): string[] {
  const path = target.split('?', 1)[0] ?? '';
  const key = /^\/extension_server\/./.test(path) ? '/extension_server/{filename}' : path;
  const item = document.paths[key];
  const operation = item?.[method === 'HEAD' ? 'get' : method.toLowerCase()];
  const response = operation?.responses[status];
  if (response === undefined) {
    const known = item === undefined || beforeRouting.has(status);
    return known ? [] : [`${method} ${key}: status ${status} is not documented`];
  }
  if (method === 'HEAD') return [];
  const where = `${method} ${key} ${status}`;
  if (response.content === undefined) return body === '' ? [] : [`${where}: has a body`];
  const schema = response.content[contentType ?? '']?.schema;
  if (schema === undefined) return [`${where}: content type ${contentType} is not documented`];
  const isText = schema.type === 'string' && !body.startsWith('"');
  return faults(schema, isText ? body : JSON.parse(body), where);
}

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  integer: (value) => Number.isSafeInteger(value),
  number: (value) => typeof value === 'number',
  null: (value) => value === null,
  array: (value) => Array.isArray(value),
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};

/** Every way in which `value` is not what the schema says; members that the schema does not know are faults too. */
export function faults(schema: JsonSchema, value: unknown, at: string): string[] {
  const { $ref, type, anyOf, items, properties, required = [], additionalProperties: more } = schema;
  if ($ref !== undefined) {
    const named = document.components.schemas[$ref.split('/').at(-1) ?? ''];
    return named === undefined ? [`${at}: ${$ref} does not exist`] : faults(named, value, at);
  }
  if (anyOf !== undefined) {
    const each = anyOf.map((one) => faults(one, value, at));
    return each.some((found) => found.length === 0) ? [] : each.flat();
  }
  if (type !== undefined && types[type]?.(value) !== true) return [`${at}: is no ${type}`];
  if ('const' in schema && value !== schema.const) return [`${at}: is not ${String(schema.const)}`];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${at}: is none of the values`];
  if (Array.isArray(value)) {
    return items === undefined ? [] : value.flatMap((one, n) => faults(items, one, `${at}[${n}]`));
  }
  if (typeof value !== 'object' || value === null) return [];
  const missing = required
    .filter((name) => !Object.hasOwn(value, name))
    .map((name) => `${at}: lacks ${name}`);
  const members = Object.entries(value).flatMap(([name, one]) => {
    const known = properties?.[name] ?? (typeof more === 'object' ? more : undefined);
    if (known !== undefined) return faults(known, one, `${at}.${name}`);
    return properties === undefined || more !== undefined ? [] : [`${at}: ${name} is not documented`];
  });
  return [...missing, ...members];
}
