import { type Sql, sql } from '../../core/sql.ts';
import { itemsOf } from '../items.ts';
import type { Phase } from '../phase.ts';

const { unit, skip } = itemsOf('neon-extension');
const object = 'extension "neon"';

/** Old clusters created it in a schema that it cannot be moved from. */
const relocatable = sql`update pg_catalog.pg_extension set extrelocatable = true where extname = 'neon' and not extrelocatable`;

/** Creates or updates the `neon` extension, in its own schema. A stock PostgreSQL does not have its library. */
export const neonExtension: Phase = {
  name: 'neon-extension',
  plan(_, observed) {
    if (!observed.preloaded.includes('neon'))
      return [skip(object, 'the server does not load the library "neon"')];
    const newest = observed.available.get('neon');
    if (newest === undefined)
      return [skip(object, 'the server loads the library "neon", but lacks the extension', true)];
    const installed = observed.extensions.get('neon');
    if (installed === undefined) {
      return [
        unit('batch', 'create', object, [sql`create extension if not exists neon schema neon`, relocatable]),
      ];
    }
    const statements: Sql[] = [];
    if (!installed.relocatable) statements.push(relocatable);
    if (installed.schema !== 'neon') statements.push(sql`alter extension neon set schema neon`);
    // The update resets this flag to the control file's value.
    if (installed.version !== newest) statements.push(sql`alter extension neon update`, relocatable);
    return statements.length === 0 ? [] : [unit('batch', 'update', object, statements)];
  },
};
