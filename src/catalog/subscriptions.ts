import { type Sql, body, join, literal, sql } from '../core/sql.ts';

/** Drops the subscriptions of the current database without contacting the publisher: the slot there stays, because on a
 *  branch it belongs to the parent. The lock prevents a deadlock between two databases.
 *  @param inert only those that are disabled and have no slot, as `disableSubscriptions` leaves them */
export const dropSubscriptionsBlock = (inert: boolean): Sql =>
  sql`do ${body(sql`
declare
  subscription pg_catalog.name;
begin
  lock table pg_catalog.pg_subscription in access exclusive mode;
  for subscription in
    select s.subname from pg_catalog.pg_subscription s
    where s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
      ${inert ? sql`and not s.subenabled and s.subslotname is null` : sql``}
  loop
    execute pg_catalog.format('alter subscription %I disable', subscription);
    execute pg_catalog.format('alter subscription %I set (slot_name = none)', subscription);
    execute pg_catalog.format('drop subscription %I', subscription);
  end loop;
end
`)}`;

/** Takes the slots from the subscriptions of these databases and disables them, whether the databases can be connected to or not:
 *  the catalog is shared. */
export const disableSubscriptions = (databases: readonly string[]): Sql => sql`
update pg_catalog.pg_subscription s set subenabled = false, subslotname = null
from pg_catalog.pg_database d
where d.oid = s.subdbid and d.datname in (${join(databases.map(literal))}) and (s.subenabled or s.subslotname is not null)`;
