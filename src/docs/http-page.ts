import { failpointList } from '../core/failpoint-list.ts';
import { statusText } from '../core/status.ts';
import { externalRoutes } from '../http/routes/external.ts';
import { internalRoutes, testRoutes } from '../http/routes/internal.ts';
import { type Route, nothing } from '../http/route.ts';
import { components, describe } from './components.ts';
import type { JsonSchema } from './json-schema.ts';
import { code, page, table } from './markdown.ts';
import { failuresOf, pathOf } from './openapi.ts';

export const httpPage = (): string =>
  page(
    'HTTP API',
    'This page has the same content as [openapi.json](openapi.json), which the external server also sends at `/openapi.json`. ' +
      'The typed client is `compute-ctl/client`.',
    'Every failure is `{"error": "…"}`. An unknown path is 404 and another method 405, both with an empty body and ' +
      "without a token; `HEAD` works where `GET` does. An answer has the request's `X-Request-Id`, or a new one. A body is JSON of at " +
      'most 2 MiB. Unknown query keys and members are ignored. While compute_ctl shuts down, new requests get 503.',
    'If a route says "only in", it answers 412 `{"error": "invalid compute status: …"}` in every other status.',
    '# External server',
    'Port 3080, on all addresses unless `--external-http-host` says otherwise. Tokens are JWTs, signed with EdDSA, or with RS256 when the key set holds such a key. ' +
      'With `scope` `compute_ctl:admin` the claim `aud` must contain `compute`; without it `compute_id` must be this ' +
      "compute's id. `exp` and `nbf` are checked where they are, with 60 s of leeway; `--require-token-exp` refuses tokens without `exp`. Keys come with the config; an " +
      'accepted `POST /configure` replaces them.',
    ...externalRoutes.map(section),
    '# Internal server',
    'Port 3081, on the loopback unless `--internal-http-host` says otherwise. It does not require a token. `Host` must be `localhost`, ' +
      '`127.0.0.1` or `[::1]`, or the address that the request came to where the option makes it listen elsewhere. What a ' +
      'browser marks as sent by a page of another server (`Origin`, `Sec-Fetch-Site`) is refused.',
    ...[...internalRoutes, ...testRoutes].map(section),
    '# Failpoints',
    'For `POST /failpoints` and the variable `FAILPOINTS`. The actions are those of the original: `return(argument)`, `sleep(ms)`, `pause`, `panic`, ' +
      '`exit`, `off`, with a percentage (`50%`) or a count (`2*`) before them and joined by `->`. Where the table names an argument, `return` with ' +
      'it fails that one alone; without an argument it fails all, but no migration.',
    table(
      ['Name', 'What it fails'],
      Object.entries(failpointList).map(([name, what]) => [code(name), what]),
    ),
  );

function section(route: Route): string {
  const { method, auth, summary, allowedIn, differs, goesOn, body } = route;
  const facts = [
    auth === 'jwt' ? 'Needs a token.' : 'Needs no token.',
    allowedIn === undefined ? '' : `Only in ${allowedIn.map(statusText).map(code).join(', ')}.`,
    goesOn === true ? 'The work continues when the client disconnects.' : '',
  ];
  const parts = [
    `## ${method} ${pathOf(route)}`,
    summary,
    facts.filter((fact) => fact !== '').join(' '),
    ...inputs(route),
    ...(body === undefined ? [] : ['Body:', fields(describe(body))]),
    ...(route.reply === nothing ? [] : ['Answer:', fields(describe(route.reply))]),
    table(['Status', 'When'], statuses(route)),
    ...(differs === undefined ? [] : [`Unlike the original: ${differs}`]),
  ];
  return parts.join('\n\n');
}

function inputs({ query, tail }: Route): string[] {
  const { properties = {} } = query === undefined ? {} : describe(query);
  const rows = Object.entries(properties).map(([name, one]) => [
    code(`?${name}=`),
    typeText(one),
    one.description ?? '',
  ]);
  if (tail !== undefined) rows.unshift([code(`{${tail.name}}`), 'string', tail.doc]);
  return rows.length === 0 ? [] : [table(['Parameter', 'Type', 'Meaning'], rows)];
}

function statuses(route: Route): string[][] {
  const { success = 200, otherReplies = {} } = route;
  const rows = new Map<number, string>([[success, 'Done.']]);
  for (const [status, doc] of Object.entries(otherReplies)) rows.set(Number(status), doc);
  for (const [status, doc] of failuresOf(route)) {
    rows.set(status, [rows.get(status), doc].filter((one) => one !== undefined).join(' '));
  }
  return [...rows].sort(([a], [b]) => a - b).map(([status, doc]) => [String(status), doc]);
}

/** The members of an object. */
export function fields(given: JsonSchema): string {
  const schema = components[given.$ref?.split('/').at(-1) ?? ''] ?? given;
  if (schema.properties === undefined) {
    return `${typeText(schema)}${schema.description === undefined ? '' : `. ${schema.description}`}`;
  }
  const rows = Object.entries(schema.properties).map(([name, one]) => [
    code(name),
    typeText(one),
    one.description ?? '',
  ]);
  return table(['Member', 'Type', 'Meaning'], rows);
}

function typeText(schema: JsonSchema): string {
  const { $ref, anyOf, items, type, enum: values, const: value } = schema;
  if ($ref !== undefined) return `${code($ref.split('/').at(-1) ?? '')} of openapi.json`;
  if (anyOf !== undefined) return anyOf.map(typeText).join(' or ');
  if (values !== undefined) return values.map((one) => code(JSON.stringify(one))).join(' or ');
  if (value !== undefined) return code(JSON.stringify(value));
  if (items !== undefined) return `array of ${typeText(items)}`;
  if (schema.properties !== undefined) return code(`{ ${Object.keys(schema.properties).join(', ')} }`);
  return type ?? 'any';
}
