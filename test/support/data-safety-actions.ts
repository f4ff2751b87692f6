import fc from 'fast-check';
import { foreignKinds } from './foreign.ts';

/** Where somebody else puts something. TENANT and TIMELINE stand for the identifiers. */
export const places = [
  '.',
  'log',
  'run',
  'nodes',
  'nodes/replica',
  'pgdata',
  'storage',
  'storage/TENANT',
  'storage/TENANT/TIMELINE',
  'storage/TENANT/TIMELINE/wal',
  'storage/TENANT/TIMELINE/bases',
] as const;

/** Names that look like those of compute-local, and names that a shell would stumble over. N stands for a number. */
export const names = [
  'foreign-N',
  'wal-old-N',
  '000000010000000000000001.bak-N',
  'local.json.N',
  'base.json~N',
  '.hidden-N',
  'N.tar',
  '-rf N',
  'a\nline and ü N',
] as const;

/** What is killed with SIGKILL. `all`: every process in the directory, as when the machine fails. */
const victims = [
  'postgres',
  'compute_ctl',
  'storage',
  'receiver',
  'up',
  'all',
  'node postgres',
  'node compute_ctl',
] as const;
export type Victim = (typeof victims)[number];

/** The commands that are killed in the middle. */
const commands = ['up', 'reset', 'stop', 'promote', 'replica'] as const;
export type Command = (typeof commands)[number];

const just = <const T extends string>(what: T): fc.Arbitrary<{ do: T }> =>
  fc.record({ do: fc.constant(what) });

export const anAction = fc.oneof(
  { weight: 3, arbitrary: just('up') },
  { weight: 2, arbitrary: just('write') },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('foreign' as const),
      place: fc.constantFrom(...places),
      name: fc.constantFrom(...names),
      kind: fc.constantFrom(...foreignKinds),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('kill' as const),
      what: fc.constantFrom(...victims),
      /** While others write. */
      writing: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stop' as const), writing: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('promote' as const), writing: fc.boolean() }) },
  { weight: 1, arbitrary: just('reset') },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('killed' as const),
      command: fc.constantFrom(...commands),
      afterMs: fc.integer({ min: 50, max: 3000 }),
      /** Alone, or with every process in the directory. */
      all: fc.boolean(),
    }),
  },
);

export type Action =
  | (typeof anAction extends fc.Arbitrary<infer T> ? T : never)
  | { readonly do: 'stop' | 'up' | 'write' | 'reset' };
