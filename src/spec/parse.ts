import * as v from 'valibot';
import { ComputeError } from '../core/errors.ts';
import { JsonSyntaxError, type JsonText, parseJson } from './json.ts';
import { usableKeys } from './jwks.ts';
import { isNoPassword } from './password.ts';
import { type JsonPath, showPath } from './path.ts';
import { describeIssue, describeSlips, shapeError } from './problems.ts';
import { safekeepersOverruled } from './resolve.ts';
import {
  type ComputeSpec,
  type ConfigFile,
  type ConfigureBody,
  type ControlPlaneResponse,
  type Jwk,
  computeSpecSchema,
  configFileSchema,
  configureBodySchema,
  controlPlaneResponseSchema,
  jwkSetSchema,
  knownFeatures,
  legacySpecSchema,
} from './schema.ts';
import { type SchemaNode, unknownMembers } from './walk.ts';

export interface Parsed<T> {
  readonly value: T;
  /** Notes for the log on accepted parts without an effect: unknown fields and features, keys of unknown kinds. */
  readonly notes: readonly string[];
}

// Of every function below: @throws ComputeError `config_unreadable` when the text is not JSON, `spec_shape` with one
// line for each problem.

/** Reads a config file: `{ spec, compute_ctl_config }`. */
export async function parseConfig(text: string): Promise<Parsed<ConfigFile>> {
  const json = await toJson(text);
  if (isBareSpec(json.value)) throw bare('give a bare spec with -S (--spec-path), or ');
  return withKeys(read(configFileSchema, json));
}

/** @param instead what else may be done, up to the `or` */
const bare = (instead: string): ComputeError =>
  new ComputeError('spec_shape', 'this is a spec without "spec" and "compute_ctl_config" around it', {
    hint: `${instead}put it into { "spec": …, "compute_ctl_config": … }`,
  });

function isBareSpec(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const has = (name: string): boolean => Object.hasOwn(value, name);
  return !has('spec') && !has('compute_ctl_config') && (has('cluster') || has('format_version'));
}

const isConfig = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.hasOwn(value, 'spec') &&
  !Object.hasOwn(value, 'cluster');

/** Reads the control plane's answer. */
export async function parseControlPlane(text: string): Promise<Parsed<ControlPlaneResponse>> {
  const json = await toJson(text);
  if (isBareSpec(json.value)) throw bare('');
  return withKeys(read(controlPlaneResponseSchema, json));
}

/** Reads the bare spec of `--spec` and `--spec-path`, which may lack `suspend_timeout_seconds`. */
export async function parseLegacySpec(text: string): Promise<Parsed<ComputeSpec>> {
  const json = await toJson(text);
  if (isConfig(json.value))
    throw new ComputeError('spec_shape', 'this is a config with a spec in it, not a bare spec', {
      hint: 'give it with -c (--config), or give only what stands under "spec"',
    });
  return withFeatures(read(legacySpecSchema, json, ['spec']));
}

/** Reads a key set by itself: `{ "keys": [...] }`. */
export async function parseJwks(text: string): Promise<Parsed<Jwk[]>> {
  const { value, notes } = read(jwkSetSchema, await toJson(text));
  const sorted = usableKeys(value.keys, ['keys']);
  return { value: sorted.usable, notes: [...notes, ...sorted.notes] };
}

/** Reads the body of `POST /configure`, already parsed as JSON. */
export function readConfigureBody(body: unknown): Parsed<ConfigureBody> {
  if (isBareSpec(body)) throw bare('');
  return withKeys(read(configureBodySchema, { value: body, duplicates: [], fractions: [] }));
}

/** Reads a bare spec of today, already parsed as JSON. */
export const readSpec = (body: unknown): Parsed<ComputeSpec> =>
  withFeatures(read(computeSpecSchema, { value: body, duplicates: [], fractions: [] }, ['spec']));

async function toJson(text: string): Promise<JsonText> {
  try {
    return await parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new ComputeError('config_unreadable', `not valid JSON: ${error.message}`, {
      hint: 'correct the JSON at that line and column',
    });
  }
}

function read<S extends v.GenericSchema>(
  schema: S,
  json: JsonText,
  prefix: JsonPath = [],
): Parsed<v.InferOutput<S>> {
  const node = schema as SchemaNode;
  const result = v.safeParse(schema, json.value);
  const problems = describeSlips(node, json, prefix);
  for (const issue of result.issues ?? []) problems.push(describeIssue(node, issue, prefix));
  if (!result.success || problems.length > 0) throw shapeError(problems);
  const unknown = unknownMembers(node, json.value, prefix.join('.'));
  return { value: result.output, notes: unknown.map((path) => `unknown field ${path} is ignored`) };
}

function withFeatures(parsed: Parsed<ComputeSpec>): Parsed<ComputeSpec> {
  return { value: parsed.value, notes: [...parsed.notes, ...specNotes(parsed.value)] };
}

function withKeys<T extends ConfigFile>(parsed: Parsed<T>): Parsed<T> {
  const { value, notes } = parsed;
  const sorted = usableKeys(value.compute_ctl_config.jwks.keys, ['compute_ctl_config', 'jwks', 'keys']);
  const compute_ctl_config = { ...value.compute_ctl_config, jwks: { keys: sorted.usable } };
  const ofSpec = value.spec === null ? [] : specNotes(value.spec);
  return { value: { ...value, compute_ctl_config }, notes: [...notes, ...ofSpec, ...sorted.notes] };
}

const specNotes = (spec: ComputeSpec): string[] => [
  ...featureNotes(spec),
  ...passwordNotes(spec),
  ...safekeeperNotes(spec),
];

const passwordNotes = ({ cluster }: ComputeSpec): string[] =>
  cluster.roles.flatMap(({ encrypted_password: one }, at) =>
    one === null || !isNoPassword(one)
      ? []
      : [
          `${showPath(['spec', 'cluster', 'roles', at, 'encrypted_password'])} is empty or a placeholder: the role has no usable password`,
        ],
  );

const safekeeperNotes = (spec: ComputeSpec): string[] =>
  safekeepersOverruled(spec)
    ? ['spec.safekeeper_connstrings has URLs and is ignored: the setting neon.safekeepers has the addresses']
    : [];

const featureNotes = (spec: ComputeSpec): string[] =>
  [...new Set(spec.features)]
    .filter((name) => !knownFeatures.includes(name))
    .map((name) => `unknown feature ${JSON.stringify(name)} is ignored`);
