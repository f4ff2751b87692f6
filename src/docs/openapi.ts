import { type ErrorCode, errorCodes } from '../core/errors.ts';
import { externalRoutes } from '../http/routes/external.ts';
import { internalRoutes, testRoutes } from '../http/routes/internal.ts';
import { type Route, nothing } from '../http/route.ts';
import { components, describe } from './components.ts';

type Json = Readonly<Record<string, unknown>>;

/** A route's errors besides its own: those of reading and authenticating a request. */
export function errorsOf(route: Route): readonly ErrorCode[] {
  const codes: ErrorCode[] = [...route.errors, 'internal'];
  if (route.auth === 'jwt') codes.push('no_token', 'bad_token', 'forbidden');
  if (route.query !== undefined || route.tail !== undefined) codes.push('bad_request');
  if (route.body !== undefined) {
    codes.push('bad_request', 'spec_shape', 'unsupported_media', 'payload_too_large');
  }
  if (route.allowedIn !== undefined) codes.push('wrong_status');
  if (route.limitMs !== undefined) codes.push('deadline');
  return [...new Set(codes)];
}

/** The description of each error status. */
export function failuresOf(route: Route): Map<number, string> {
  const found = new Map<number, string[]>();
  for (const code of errorsOf(route)) {
    const { http, doc } = errorCodes[code];
    found.set(http, [...(found.get(http) ?? []), doc]);
  }
  found.set(503, ['compute_ctl is shutting down.']);
  return new Map([...found].sort(([a], [b]) => a - b).map(([status, docs]) => [status, docs.join(' ')]));
}

/** The path in the notation of OpenAPI. */
export const pathOf = ({ path, tail }: Route): string =>
  tail === undefined ? path : `${path}{${tail.name}}`;

const requestIdHeader = { 'x-request-id': { $ref: '#/components/headers/RequestId' } };
const errorContent = { 'application/json': { schema: { $ref: '#/components/schemas/ErrorBody' } } };

function responses(route: Route): Json {
  const { reply, success = 200, contentType = 'application/json', otherReplies = {} } = route;
  const content = reply === nothing ? {} : { content: { [contentType]: { schema: describe(reply) } } };
  const all: Record<string, Json> = {
    [success]: { description: 'Done.', headers: requestIdHeader, ...content },
  };
  for (const [status, description] of Object.entries(otherReplies)) {
    all[status] = { description, headers: requestIdHeader, ...content };
  }
  for (const [status, description] of failuresOf(route)) {
    const other = all[status];
    const schema = { anyOf: [describe(reply), errorContent['application/json'].schema] };
    all[status] =
      other === undefined
        ? { description, headers: requestIdHeader, content: errorContent }
        : {
            ...other,
            description: `${String(other['description'])} ${description}`,
            content: { 'application/json': { schema } },
          };
  }
  return all;
}

function parameters({ query, withoutQuery, tail }: Route): Json[] {
  const found: Json[] = [];
  if (tail !== undefined) {
    const { name, doc } = tail;
    found.push({
      name,
      in: 'path',
      required: true,
      description: doc,
      schema: { type: 'string', minLength: 1 },
    });
  }
  if (query === undefined) return found;
  const { properties = {}, required = [] } = describe(query);
  for (const [name, { description, ...schema }] of Object.entries(properties)) {
    const needed = required.includes(name) && withoutQuery === undefined;
    const value = withoutQuery === undefined ? undefined : (withoutQuery as Json)[name];
    const fallback = value === undefined || value === '' ? {} : { default: value };
    found.push({ name, in: 'query', required: needed, description, schema: { ...schema, ...fallback } });
  }
  return found;
}

const words = (path: string): string[] => path.split(/[^a-z]+/).filter((word) => word !== '');
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** `getLfcPrewarm` for `GET /lfc/prewarm`. */
export const operationId = ({ method, path }: Route): string =>
  method.toLowerCase() + words(path).map(capital).join('');

function operation(route: Route, server: string): Json {
  const { summary, differs, auth, body, allowedIn } = route;
  const gate = allowedIn === undefined ? [] : [`Only in the statuses ${allowedIn.join(', ')}.`];
  const description = [...gate, ...(differs === undefined ? [] : [`Unlike the original: ${differs}`])].join(
    ' ',
  );
  const inputs = parameters(route);
  return {
    operationId: operationId(route),
    tags: [server],
    summary,
    ...(description !== '' && { description }),
    security: auth === 'jwt' ? [{ token: [] }] : [],
    ...(inputs.length > 0 && { parameters: inputs }),
    ...(body !== undefined && {
      requestBody: { required: true, content: { 'application/json': { schema: describe(body) } } },
    }),
    responses: responses(route),
  };
}

function paths(routes: readonly Route[], server: string, url: string): Json {
  const all: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const item = (all[pathOf(route)] ??= { servers: [{ url, description: server }] });
    item[route.method.toLowerCase()] = operation(route, server);
  }
  return all;
}

/** The OpenAPI document of both servers, generated from their routes. */
export const openApi = (): Json => ({
  openapi: '3.1.0',
  info: {
    title: 'compute_ctl',
    version: '1.0.0',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    description:
      'Two servers: the external one for control planes, scrapers and probes; the internal one for programs on the same machine, on the loopback only. `HEAD` works where `GET` does. An unknown path is 404, another method 405, both with an empty body.',
  },
  servers: [{ url: 'http://localhost:3080', description: 'external' }],
  tags: [{ name: 'external' }, { name: 'internal' }],
  paths: {
    ...paths(externalRoutes, 'external', 'http://localhost:3080'),
    ...paths([...internalRoutes, ...testRoutes], 'internal', 'http://localhost:3081'),
  },
  components: {
    securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    headers: {
      RequestId: { description: "The request's own id, or a new one.", schema: { type: 'string' } },
    },
    schemas: components,
  },
});

export const openApiPage = (): string => `${JSON.stringify(openApi(), null, 2)}\n`;
