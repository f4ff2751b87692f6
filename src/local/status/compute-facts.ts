import * as v from 'valibot';
import { computeToken } from '../compute-api.ts';
import { getLimitedJson } from '../get-json.ts';
import { type SleepNote, readNote } from '../front/note.ts';
import { type Noted, readPhase } from '../phase.ts';
import type { LocalDir, LocalState } from '../state.ts';
import { withCompute } from '../storage/compute-link.ts';
import type { Size, Sizer } from './disk.ts';
import { type Answer, type Asked, ask, askAt } from './probe.ts';
import { type ProcessFacts, postmasterOf, processOf } from './process-facts.ts';

/** One compute as it is on disk. */
export interface KnownCompute {
  readonly name: string;
  /** What it is when it is not the primary; the main compute then is a replica. */
  readonly mode: 'replica' | { readonly atLsn: string };
  readonly state: LocalState;
  readonly dir: LocalDir;
}

/** What compute_ctl says. */
const computeStatus = v.object({ status: v.string(), error: v.nullable(v.string()) });

/** What its Postgres says. */
export interface PostgresFacts {
  readonly standby: boolean;
  readonly lsn: string | null;
  /** Seconds since the last commit that a standby has replayed. */
  readonly replayAge: number | null;
  readonly connections: number;
}

export interface ComputeFacts extends KnownCompute {
  readonly up: ProcessFacts | null;
  readonly noted: Noted | null;
  /** Of the front; null when there is none. */
  readonly sleep: SleepNote | null;
  readonly ctl: ProcessFacts | null;
  readonly postgres: ProcessFacts | null;
  /** Null when there is no compute_ctl to ask. */
  readonly http: Answer<v.InferOutput<typeof computeStatus>> | null;
  /** Null when there is no Postgres to ask. */
  readonly sql: Asked<PostgresFacts> | null;
  readonly data: Size;
  readonly logs: Size;
}

/** Asks only processes that are ours. */
export async function computeFacts(known: KnownCompute, size: Sizer): Promise<ComputeFacts> {
  const { dir, state } = known;
  const [up, ctl] = [processOf(dir.upPid), processOf(dir.computePid)];
  const postgres = postmasterOf(dir.pgdata);
  const [http, sql, data, logs] = await Promise.all([
    ctl === null ? null : askAt(ctl.pid, state.ports.externalHttp, (signal) => askComputeCtl(state, signal)),
    postgres === null ? null : ask((signal) => askPostgres(known, signal)),
    size(dir.pgdata),
    size(dir.log),
  ]);
  const noted = up === null ? null : readPhase(dir.upPid);
  const sleep = up === null ? null : readNote(dir.sleep);
  return { ...known, up, noted, sleep, ctl, postgres, http, sql, data, logs };
}

async function askComputeCtl(
  state: LocalState,
  signal: AbortSignal,
): Promise<v.InferOutput<typeof computeStatus>> {
  const url = `http://127.0.0.1:${state.ports.externalHttp}/status`;
  const body = v.safeParse(computeStatus, await getLimitedJson(url, computeToken(state, 60), signal));
  if (body.success) return body.output;
  throw new Error(`the answer of ${url} is not that of a compute_ctl`);
}

const look = `select pg_catalog.pg_is_in_recovery() as standby,
  (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
        else pg_catalog.pg_current_wal_flush_lsn() end)::pg_catalog.text as lsn,
  pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() operator(pg_catalog.-)
    pg_catalog.pg_last_xact_replay_timestamp())::pg_catalog.float8 as age,
  (select pg_catalog.count(*)::pg_catalog.int4 from pg_catalog.pg_stat_activity
    where backend_type operator(pg_catalog.=) 'client backend'
      and usename operator(pg_catalog.<>) 'cloud_admin') as connections`;

interface Row {
  readonly standby: boolean;
  readonly lsn: string | null;
  readonly age: number | null;
  readonly connections: number;
}

const askPostgres = ({ dir, state }: KnownCompute, signal: AbortSignal): Promise<PostgresFacts> =>
  withCompute({ dir: dir.run, port: state.ports.postgres }, signal, async (pg) => {
    const { rows } = await pg.query<Row>(look);
    const { standby, lsn, age, connections } = rows[0] as Row;
    return { standby, lsn, replayAge: age === null ? null : Math.max(0, age), connections };
  });
