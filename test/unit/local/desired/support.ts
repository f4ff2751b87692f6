import { type Accepted, accept } from '../../../../src/local/desired/accepted.ts';
import type { Observed, ObservedRole } from '../../../../src/local/desired/observe.ts';
import { type ReadFile, checkedSource } from '../../../../src/local/desired/read.ts';
import { parseSource } from '../../../../src/local/desired/source.ts';

export const read = (text: string): ReadFile => checkedSource(parseSource('compute.json', text));

/** What is accepted of a file, after another one. */
export const accepted = (value: object, before: Accepted | null = null): Accepted =>
  accept(read(JSON.stringify(value)).desired, '/somewhere/compute.json', before);

export const role = (more: Partial<ObservedRole> = {}): ObservedRole => ({
  createdb: true,
  createrole: true,
  bypassrls: true,
  replication: true,
  inherit: true,
  connection_limit: -1,
  validUntil: null,
  verifier: null,
  ...more,
});

/** The lines of postgresql.conf. */
export const linesOf = (settings: Readonly<Record<string, string>>): Observed['lines'] =>
  new Map(Object.entries(settings).map(([name, value]) => [name, { value, bySystem: false }]));

export const observed = (more: Partial<Observed> = {}): Observed => ({
  major: 17,
  roles: new Map(),
  databases: new Map([['app', 'app']]),
  settings: new Map([
    ['work_mem', { setting: '4096', unit: 'kB', atStart: false, pendingRestart: false }],
    ['max_connections', { setting: '100', unit: null, atStart: true, pendingRestart: false }],
    ['shared_preload_libraries', { setting: '', unit: null, atStart: true, pendingRestart: false }],
  ]),
  lines: new Map(),
  available: new Map([['hstore', '1.8']]),
  extensions: new Map([['app', new Map()]]),
  ...more,
});
