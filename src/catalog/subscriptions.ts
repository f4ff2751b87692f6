import { type Sql, body, join, literal, sql } from '../core/sql.ts';

/** Drops the subscriptions of the current database without contacting the publisher: the slot there stays, because on a
 *  branch it belongs to the parent. The lock prevents a deadlock between two databases.
 *
 *  While tables are still being copied, DROP SUBSCRIPTION connects even without a slot, to drop the slots of those copies:
 *  to an address that a user chose, and that may never answer. So these tables are removed from the subscription first,
 *  once its workers have ended: they would update the same rows, and hold the copies' origins.
 *  @param inert only those that are disabled and have no slot, as `disableSubscriptions` leaves them */
export const dropSubscriptionsBlock = (inert: boolean): Sql =>
  sql`do ${body(sql`
declare
  one record;
begin
  lock table pg_catalog.pg_subscription in access exclusive mode;
  for one in
    select s.oid as id, s.subname as name from pg_catalog.pg_subscription s
    where s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
      ${inert ? sql`and not s.subenabled and s.subslotname is null` : sql``}
  loop
    execute pg_catalog.format('alter subscription %I disable', one.name);
    execute pg_catalog.format('alter subscription %I set (slot_name = none)', one.name);
    perform pg_catalog.pg_terminate_backend(w.pid, 10000) from pg_catalog.pg_stat_get_subscription(null) w
      where w.subid = one.id and w.pid is not null order by w.relid nulls first;
    delete from pg_catalog.pg_subscription_rel r where r.srsubid = one.id and r.srsubstate <> 'r';
    perform pg_catalog.pg_replication_origin_drop(o.roname) from pg_catalog.pg_replication_origin o
      where pg_catalog.starts_with(o.roname, pg_catalog.format('pg_%s_', one.id));
    execute pg_catalog.format('drop subscription %I', one.name);
  end loop;
end
`)}`;

/** Takes the slots from the subscriptions of these databases and disables them, whether the databases can be connected to or not:
 *  the catalog is shared. */
export const disableSubscriptions = (databases: readonly string[]): Sql => sql`
update pg_catalog.pg_subscription s set subenabled = false, subslotname = null
from pg_catalog.pg_database d
where d.oid = s.subdbid and d.datname in (${join(databases.map(literal))}) and (s.subenabled or s.subslotname is not null)`;
