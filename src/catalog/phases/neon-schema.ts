import { ident, sql } from '../../core/sql.ts';
import { itemsOf } from '../items.ts';
import type { Phase } from '../phase.ts';

const { unit } = itemsOf('neon-schema');

const names = ['neon', 'neon_migration'] as const;

/** Creates the schemas of the bookkeeping and of the `neon` extension. Both exist after the first pass: otherwise a later
 *  owner of the system database could create the second one. */
export const neonSchema: Phase = {
  name: 'neon-schema',
  plan: (_, observed) =>
    names
      .filter((name) => !observed.schemas.has(name))
      .map((name) =>
        unit('batch', 'create', `schema ${JSON.stringify(name)}`, [sql`create schema ${ident(name)}`]),
      ),
  foresee(input, observed) {
    const schemas = new Map(observed.schemas);
    const made = { owner: input.adminRole, trusted: true, tables: [] };
    for (const name of names) if (!schemas.has(name)) schemas.set(name, { name, ...made });
    return { ...observed, schemas };
  },
};
