import type { ComputeSpec, GenericOption } from '../spec/schema.ts';
import { confValue, isSameSetting } from './conf-syntax.ts';

/** A server setting's value in the spec: from `cluster.settings`, else from `postgresql_conf`. As in the server, the name
 *  is case-insensitive and the last one counts.
 *  @returns null when the spec does not set it */
export function serverSetting({ cluster }: ComputeSpec, name: string): string | null {
  const own = cluster.settings?.findLast((one) => one.value !== null && isSameSetting(one.name, name));
  return (
    (own === undefined ? null : readValue(own)) ?? confValue(cluster.postgresql_conf?.reveal() ?? '', name)
  );
}

/** Only strings are written in quotes; other values are parsed as a line of the file, as the server does. */
function readValue({ value, vartype }: GenericOption): string | null {
  if (value === null || vartype === 'string') return value;
  return confValue(`x = ${value}`, 'x') ?? value;
}
