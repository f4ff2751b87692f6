import type { ComputeSpec, GenericOption } from '../spec/schema.ts';
import { confValue, isSameSetting } from './conf-syntax.ts';

/** The value that a setting of the server has by its spec: of `cluster.settings`, else of the head of the conf file. As in
 *  the server, case does not matter in the name and the last one counts.
 *  @returns null when the spec does not set it */
export function serverSetting({ cluster }: ComputeSpec, name: string): string | null {
  const own = cluster.settings?.findLast((one) => one.value !== null && isSameSetting(one.name, name));
  return (
    (own === undefined ? null : readValue(own)) ?? confValue(cluster.postgresql_conf?.reveal() ?? '', name)
  );
}

/** Only strings are written in quotes; of the rest the server sees what a line of the file makes of it. */
function readValue({ value, vartype }: GenericOption): string | null {
  if (value === null || vartype === 'string') return value;
  return confValue(`x = ${value}`, 'x') ?? value;
}
