import { body, sql } from '../core/sql.ts';

/** Drops every subscription of the current database without contacting the publisher: the slot there stays, because on a
 *  branch it belongs to the parent. The lock prevents a deadlock between two databases. */
export const dropSubscriptionsBlock = sql`do ${body(sql`
declare
  subscription pg_catalog.name;
begin
  lock table pg_catalog.pg_subscription in access exclusive mode;
  for subscription in
    select s.subname from pg_catalog.pg_subscription s
    where s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  loop
    execute pg_catalog.format('alter subscription %I disable', subscription);
    execute pg_catalog.format('alter subscription %I set (slot_name = none)', subscription);
    execute pg_catalog.format('drop subscription %I', subscription);
  end loop;
end
`)}`;
