import * as v from 'valibot';
import { computeSpecSchema, configFileSchema, controlPlaneResponseSchema } from '../spec/schema.ts';
import { Cluster, Database, DeltaOp, GenericOption, Role } from '../spec/schema/cluster.ts';
import { ComputeCtlConfig, Jwk } from '../spec/schema/config.ts';
import { PageserverConnectionInfo } from '../spec/schema/pageserver.ts';
import { DatabricksSettings, LocalProxyConfig, RemoteExtensions } from '../spec/schema/services.ts';
import { type SchemaNode, expectedBy, notesOf, unwrap } from '../spec/walk.ts';
import { code, page, table } from './markdown.ts';

const types: readonly (readonly [string, SchemaNode])[] = [
  ['Config file', configFileSchema],
  ["The control plane's answer", controlPlaneResponseSchema],
  ['ComputeCtlConfig', ComputeCtlConfig],
  ['Jwk', Jwk],
  ['ComputeSpec', computeSpecSchema],
  ['Cluster', Cluster],
  ['Role', Role],
  ['Database', Database],
  ['GenericOption', GenericOption],
  ['DeltaOp', DeltaOp],
  ['PageserverConnectionInfo', PageserverConnectionInfo],
  ['RemoteExtensions', RemoteExtensions],
  ['LocalProxyConfig', LocalProxyConfig],
  ['DatabricksSettings', DatabricksSettings],
];

export const specPage = (): string =>
  page(
    'Config and spec',
    'Members that are not listed are accepted, ignored and reported once in the log, as are features without a ' +
      'meaning. "Optional" members may be absent or null. Members with a default may be absent, but not null. ' +
      'A member given twice, a number in quotes and an integer with a fraction are errors. All problems of a document ' +
      'are reported at once, each with its path.',
    ...types.map(
      ([name, schema]) => `## ${name}\n\n${table(['Field', 'Type', 'Presence', 'Meaning'], rows(schema))}`,
    ),
  );

function rows(schema: SchemaNode, prefix = ''): string[][] {
  const { entries = {} } = unwrap(schema);
  return Object.entries(entries).flatMap(([name, member]) => {
    const path = `${prefix}${name}`;
    const row = [code(path), typeText(member), presence(member), v.getDescription(member) ?? ''];
    const nested = elementOf(member);
    const inline = nested.node.entries !== undefined && nameOf(nested.node) === undefined;
    return inline ? [row, ...rows(nested.node, `${path}${nested.suffix}.`)] : [row];
  });
}

function elementOf(schema: SchemaNode): { node: SchemaNode; suffix: string } {
  const node = unwrap(schema);
  const inner = node.type === 'array' ? node.item : node.type === 'record' ? node.value : undefined;
  if (inner === undefined) return { node, suffix: '' };
  const element = elementOf(inner);
  return { node: element.node, suffix: `[]${element.suffix}` };
}

function typeText(schema: SchemaNode): string {
  const node = unwrap(schema);
  if (node.type === 'array' && node.item !== undefined) return `array of ${typeText(node.item)}`;
  if (node.type === 'record' && node.value !== undefined) return `object of ${typeText(node.value)}`;
  const expected = expectedBy(node);
  const plain = /^[\w ]+$/.test(expected) ? expected : code(expected);
  return nameOf(node) ?? (notesOf(node).secret === true ? `${plain}, secret` : plain);
}

/** Types with their own section; the others are listed inside the section that uses them. */
function nameOf(node: SchemaNode): string | undefined {
  const found = types.find(([, schema]) => unwrap(schema).entries === node.entries && node.entries);
  return found === undefined ? undefined : `[${found[0]}](#${found[0].toLowerCase().replaceAll(' ', '-')})`;
}

function presence(schema: SchemaNode): string {
  if (schema.type === 'nullish') return 'optional';
  return schema.type === 'optional' ? `default ${code(JSON.stringify(schema.default))}` : 'required';
}
