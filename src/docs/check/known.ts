import { environmentEntries } from '../../config/environment.ts';
import type { CommandEntry, OptionEntry } from '../../config/options/entry.ts';
import { commandLines, programs } from '../../config/options/programs.ts';
import { errorCodes } from '../../core/errors.ts';
import { externalRoutes } from '../../http/routes/external.ts';
import { internalRoutes, testRoutes } from '../../http/routes/internal.ts';
import { metricDefinitions } from '../../metrics/definitions.ts';
import { computeSpecSchema, configFileSchema, controlPlaneResponseSchema } from '../../spec/schema.ts';
import { type SchemaNode, unwrap } from '../../spec/walk.ts';
import type { Repository } from './repository.ts';

export interface KnownRoute {
  readonly method: string;
  readonly path: string;
  /** Null: the path is complete. Otherwise a name follows it, and then this. */
  readonly suffix: string | null;
  readonly query: readonly string[];
}

/** What a page may name. */
export interface Known extends Repository {
  /** Each with its commands; the empty name stands for none. */
  readonly programs: ReadonlyMap<string, ReadonlyMap<string, CommandEntry>>;
  readonly flags: ReadonlySet<string>;
  readonly shorts: ReadonlySet<string>;
  readonly routes: readonly KnownRoute[];
  readonly variables: ReadonlySet<string>;
  /** Names of our own interfaces: what a wrong name is compared with first. */
  readonly names: ReadonlySet<string>;
}

export function knownOf(repository: Repository): Known {
  const entries: OptionEntry[] = commandLines.flatMap(([, { options }]) => Object.values(options));
  const variables = new Set([
    ...environmentEntries.map(([name]) => name),
    ...entries.flatMap(({ env }) => env ?? []),
  ]);
  const schemas = [configFileSchema, controlPlaneResponseSchema, computeSpecSchema];
  return {
    ...repository,
    programs: new Map(
      programs.map(({ name, main, commands }) => [
        name,
        new Map([...(main === null ? [] : [['', main] as const]), ...Object.entries(commands)]),
      ]),
    ),
    flags: new Set(['--help', '--version', ...entries.map(({ flag }) => flag)]),
    shorts: new Set(['-h', ...entries.flatMap(({ short }) => short ?? [])]),
    routes: knownRoutes(),
    variables,
    names: new Set([
      ...variables,
      ...programs.flatMap(({ name, commands }) => [name, ...Object.keys(commands)]),
      ...Object.keys(errorCodes),
      ...Object.keys(metricDefinitions),
      ...schemas.flatMap(membersOf),
    ]),
  };
}

const knownRoutes = (): KnownRoute[] =>
  [...externalRoutes, ...internalRoutes, ...testRoutes].map(({ method, path, tail, query }) => ({
    method,
    path,
    suffix: tail === undefined ? null : (tail.suffix ?? ''),
    query: Object.keys(query?.entries ?? {}),
  }));

/** The names of all members, at any depth. */
function membersOf(schema: SchemaNode): string[] {
  const { entries = {}, item, value } = unwrap(schema);
  const inner = [item, value].filter((one) => one !== undefined);
  return [
    ...Object.entries(entries).flatMap(([name, member]) => [name, ...membersOf(member)]),
    ...inner.flatMap(membersOf),
  ];
}
