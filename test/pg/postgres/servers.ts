import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { withPg } from '../../../src/pg/client.ts';
import { textSink } from '../../../src/postgres/log-sink.ts';
import { locatePostgres } from '../../../src/postgres/postgres-bin.ts';
import { type PostgresOptions, startPostgres } from '../../../src/postgres/postgres.ts';
import { findPostgresOf } from '../../../src/postgres/pgdata-processes.ts';
import { readStat } from '../../../src/process/proc.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { eventually as untilFound } from '../../support/program.ts';

export const never = new AbortController().signal;
export const quiet = pino({ level: 'silent' });

export const eventually = (what: string, check: () => boolean): Promise<true> =>
  untilFound(what, () => check() || undefined);

export const lives = (pid: number): boolean => readStat(pid) !== null;

/** A data directory whose server is stopped. */
export async function stoppedCluster(): Promise<Cluster> {
  const cluster = await startCluster();
  await end(cluster, 'SIGINT');
  return cluster;
}

export async function end(cluster: Cluster, signal: NodeJS.Signals): Promise<void> {
  cluster.postmaster.kill(signal);
  await eventually('the postmaster ends', () => !lives(cluster.postmaster.pid as number));
}

/** Ends whatever a failed test has left of the server, and removes its directory. */
export async function cleanUp(cluster: Cluster): Promise<void> {
  for (const { pid } of findPostgresOf(cluster.dataDir).processes) process.kill(pid, 'SIGKILL');
  await cluster.stop();
}

/** Options for `startPostgres` on that directory; its log lines go to the returned array. */
export async function optionsFor(
  cluster: Cluster,
  more: Partial<PostgresOptions> = {},
): Promise<{ options: PostgresOptions; lines: string[] }> {
  const bin = await locatePostgres(join(cluster.postgres.bindir, 'postgres'), process.env, never);
  const lines: string[] = [];
  const options: PostgresOptions = {
    bin,
    pgdata: cluster.dataDir,
    env: process.env,
    authToken: null,
    cgroup: null,
    log: quiet,
    sink: textSink((line) => lines.push(line)),
    ...more,
  };
  return { options, lines };
}

export async function startReady(cluster: Cluster, more: Partial<PostgresOptions> = {}) {
  const { options, lines } = await optionsFor(cluster, more);
  const postgres = await startPostgres(options);
  await postgres.waitReady(30_000, never);
  return { postgres, lines };
}

export const clientOptions = { applicationName: 'test', connectMs: 5000, queryMs: 60_000, signal: never };

/** A session that computes without looking up; resolves with its backend's pid once it is busy. `ended` never rejects. */
export async function busySession(cluster: Cluster): Promise<{ pid: number; ended: Promise<unknown> }> {
  let started: (pid: number) => void = () => {};
  const pid = new Promise<number>((resolve) => {
    started = resolve;
  });
  const ended = withPg(cluster.target, clientOptions, async (pg) => {
    const { rows } = await pg.query('select pg_backend_pid() as pid');
    const busy = pg.query('select count(*) from generate_series(1, 10000000000) a');
    started(Number(rows[0]['pid']));
    await busy;
  }).catch((error: unknown) => error);
  return { pid: await pid, ended };
}

/** Writes lines of the pid file over, as if another run had left it. */
export function editPidFile(text: string, edits: Record<number, string>): string {
  const lines = text.split('\n');
  for (const [at, line] of Object.entries(edits)) lines[Number(at)] = line;
  return lines.join('\n');
}

export const pidFile = (cluster: Cluster): string => join(cluster.dataDir, 'postmaster.pid');
export const readPidFile = (cluster: Cluster): string => readFileSync(pidFile(cluster), 'utf8');
