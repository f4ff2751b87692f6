import { sql } from '../../core/sql.ts';
import { setting } from '../../spec/resolve.ts';
import { itemsOf } from '../items.ts';
import type { Phase } from '../phase.ts';

const { unit, skip, obstacle } = itemsOf('extensions');

const obstructed =
  'schema public of the system database is missing, or holds objects whose names begin with "pg_stat_statements"';

/** Creates `pg_stat_statements` in the system database, if the spec's settings load its library. */
export const extensions: Phase = {
  name: 'extensions',
  plan({ spec }, observed) {
    const libraries = setting(spec, 'shared_preload_libraries') ?? '';
    if (!libraries.includes('pg_stat_statements') || observed.extensions.has('pg_stat_statements')) return [];
    const object = 'extension "pg_stat_statements"';
    if (!observed.available.has('pg_stat_statements'))
      return [obstacle(object, 'the server does not have it')];
    // Its owner may have put it there, and must not end every start with it.
    if (observed.statementsObstructed) return [skip(object, obstructed, true)];
    return [
      unit('batch', 'create', object, [sql`create extension if not exists pg_stat_statements schema public`]),
    ];
  },
};
