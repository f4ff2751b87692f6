import type { PgClient } from '../pg/client.ts';
import { type SessionShown, describeSession, sessionColumns } from '../pg/session-name.ts';
import type { DatabaseUse } from './phase.ts';
import { type Admission, admissionColumns } from './set-aside.ts';

/** A database, and everything that keeps it from being copied, renamed or dropped. */
export interface Occupied extends Admission {
  /** It is the one that we are connected to. */
  readonly current: boolean;
  readonly sessions: readonly (SessionShown & { readonly superuser: boolean })[];
  readonly prepared: readonly { readonly gid: string; readonly role: string }[];
  /** Logical replication slots that a process uses. A walsender is among the sessions, too. */
  readonly slots: readonly { readonly name: string; readonly pid: number }[];
  readonly subscriptions: readonly string[];
}

/** The server itself ends an autovacuum worker that is in the way. */
const query = `
select ${admissionColumns}, d.datname = pg_catalog.current_database() as current,
  (select coalesce(pg_catalog.json_agg(x), '[]') from (
    select ${sessionColumns}, coalesce(r.rolsuper, false) as superuser
    from pg_catalog.pg_stat_activity a left join pg_catalog.pg_roles r on r.oid = a.usesysid
    where a.datid = d.oid and a.pid <> pg_catalog.pg_backend_pid()
      and a.backend_type is distinct from 'autovacuum worker') x) as sessions,
  (select coalesce(pg_catalog.json_agg(x), '[]') from (
    select p.gid, p.owner as role from pg_catalog.pg_prepared_xacts p where p.database = d.datname) x) as prepared,
  (select coalesce(pg_catalog.json_agg(x), '[]') from (
    select s.slot_name as name, s.active_pid as pid from pg_catalog.pg_replication_slots s
    where s.datoid = d.oid and s.active_pid is not null) x) as slots,
  (select coalesce(pg_catalog.json_agg(s.subname), '[]') from pg_catalog.pg_subscription s
   where s.subdbid = d.oid) as subscriptions
from pg_catalog.pg_database d where d.datname = $1::pg_catalog.name`;

/** Null when there is no such database. */
export async function occupantsOf(client: PgClient, database: string): Promise<Occupied | null> {
  const { rows } = await client.query<Occupied>({ text: query, values: [database] });
  return rows[0] ?? null;
}

/** What is in the way, by name; empty when nothing is. */
export function inTheWay(
  { sessions, prepared, slots, subscriptions }: Occupied,
  { purpose }: DatabaseUse,
): string[] {
  const all = [
    ...sessions.map(describeSession),
    ...prepared.map(({ gid, role }) => `prepared transaction ${JSON.stringify(gid)} of role "${role}"`),
  ];
  if (purpose !== 'delete') return all;
  return [
    ...all,
    ...slots.map(({ name, pid }) => `replication slot ${JSON.stringify(name)}, used by process ${pid}`),
    ...subscriptions.map((name) => `subscription ${JSON.stringify(name)}`),
  ];
}
