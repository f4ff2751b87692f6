import { errorCodes } from '../core/errors.ts';
import { listed, listedDamaged } from '../local/branches/list.ts';
import { holderKinds } from '../local/front/holders.ts';
import { partStates, problemKinds, states, statusSchema } from '../local/status/schema.ts';
import { fields } from './http-page.ts';
import { type JsonSchema, jsonSchema } from './json-schema.ts';
import { code, page, table } from './markdown.ts';

export function statusPage(): string {
  const { properties = {} } = jsonSchema(statusSchema);
  const objectOf = (name: string): JsonSchema =>
    withoutNull(properties[name]?.items ?? properties[name] ?? {});
  return page(
    'compute-local status',
    '`compute-local status` shows what runs in a directory: the primary, replicas, views, the storage, their ports, how far they are, the ' +
      'disk, and what is wrong. Everything is asked side by side, for 2 seconds at most; what does not answer is shown as such.',
    '## Exit codes',
    table(
      ['Code', '`state`', 'Meaning'],
      [
        ...Object.entries(states).map(([name, { exit, doc }]) => [String(exit), code(name), doc]),
        [
          '1',
          '',
          `\`status\` itself failed: ${errorCodes.dir_refused.doc} Or another error, which it prints.`,
        ],
        [String(errorCodes.usage.exit), '', errorCodes.usage.doc],
      ],
    ),
    '## JSON',
    'With `--json` it prints one object on one line. Members may be added; none is removed or gets another meaning.',
    fields(flat(jsonSchema(statusSchema), [])),
    '### Of each in `computes`',
    fields(flat(objectOf('computes'))),
    '### `storage`',
    fields(flat(objectOf('storage'))),
    '### `disk`',
    fields(flat(objectOf('disk'))),
    '### Of each in `problems`',
    fields(flat(objectOf('problems'))),
    '## compute-local list',
    '`compute-local list --json` prints one object with `computes`, the main compute and all branches. The same promise. Of each:',
    fields(flat(jsonSchema(listed))),
    'What cannot be used is not in `computes`, but in `damaged`. Of each:',
    fields(flat(jsonSchema(listedDamaged))),
    '## States of a compute and of the storage',
    table(
      ['State', 'Meaning'],
      Object.entries(partStates).map(([name, doc]) => [code(name), doc]),
    ),
    '## What keeps a compute awake',
    table(
      ['Kind', 'Meaning'],
      Object.entries(holderKinds).map(([name, doc]) => [code(name), doc]),
    ),
    '## Kinds of problems',
    table(
      ['Kind', 'Meaning'],
      Object.entries(problemKinds).map(([name, doc]) => [code(name), doc]),
    ),
  );
}

/** With a row for each member of a member, too. @param only the members to expand; left out: all */
function flat(schema: JsonSchema, only?: readonly string[]): JsonSchema {
  const rows = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => {
    const expanded = only?.includes(name) === false ? {} : (withoutNull(one).properties ?? {});
    const members = Object.entries(expanded).map(([member, of]) => [`${name}.${member}`, of] as const);
    return [[name, one] as const, ...members];
  });
  return { ...schema, properties: Object.fromEntries(rows) };
}

const withoutNull = (schema: JsonSchema): JsonSchema =>
  schema.anyOf?.find(({ type }) => type !== 'null') ?? schema;
