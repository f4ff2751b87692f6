import { type Lsn, parseLsn } from '../../core/lsn.ts';
import { copiedText } from '../copied.ts';
import { mayStart } from '../phase.ts';
import type { Called } from './called.ts';
import type { ComputeFacts } from './compute-facts.ts';
import { type Judged, judgeCompute, silence } from './judge-compute.ts';
import { valueOf } from './probe.ts';
import type { ComputeReport, Problem, State, StorageReport } from './schema.ts';
import type { StorageFacts } from './storage-facts.ts';
import type { LocalDir, LocalState } from '../state.ts';

export interface Facts {
  readonly dir: LocalDir;
  readonly state: LocalState;
  readonly called: Called;
  /** Name of the compute that is to write. */
  readonly primary: string;
  /** The main one first. */
  readonly computes: readonly ComputeFacts[];
  readonly storage: StorageFacts;
  /** What could not be read. */
  readonly unreadable: readonly Problem[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

export interface Verdict {
  readonly state: State;
  readonly computes: ComputeReport[];
  readonly storage: StorageReport;
  readonly problems: Problem[];
}

/** Draws all conclusions. Pure. */
export function judge(facts: Facts): Verdict {
  const { computes, primary } = facts;
  const judged = new Map(computes.map((one) => [one.name, judgeCompute(one, facts.called, facts.nowMs)]));
  const main = computes[0] as ComputeFacts;
  const anyRuns = computes.some(({ ctl, postgres }) => ctl !== null || postgres !== null);
  const storage = judgeStorage(facts, main, anyRuns, judged);
  const problems = [
    ...facts.unreadable,
    ...storage.problems,
    ...[...judged.values()].flatMap((one) => one.problems),
    ...primaryProblems(facts, judged),
  ];
  const status = storageReport(facts, storage, main);
  const end = parseLsn(status.end_lsn ?? '');
  const reports = computes.map((one) =>
    computeReport(one, whileCopying(one, judged.get(one.name) as Judged, facts), primary, end),
  );
  return { state: overall(facts, judged, storage, problems), computes: reports, storage: status, problems };
}

function overall(
  { computes, primary, storage: { process } }: Facts,
  judged: ReadonlyMap<string, Judged>,
  storage: Judged,
  problems: readonly Problem[],
): State {
  if (problems.length > 0) return 'trouble';
  const now = (name: string): Judged['state'] => judged.get(name)?.state ?? 'stopped';
  const runs = computes.some(({ up, ctl, postgres }) => (up ?? ctl ?? postgres) !== null);
  if (!runs && process === null) return 'stopped';
  const primaryIs = now(primary);
  if ((primaryIs === 'running' || primaryIs === 'asleep') && storage.state === 'running') return primaryIs;
  return computes[0]?.noted?.phase === 'stopping' || primaryIs === 'stopping' ? 'stopping' : 'starting';
}

function judgeStorage(
  { storage, dir, called, primary, nowMs }: Facts,
  main: ComputeFacts,
  anyRuns: boolean,
  judged: ReadonlyMap<string, Judged>,
): Judged {
  const wrong = (kind: Problem['kind'], state: Judged['state'], detail: string, hint: string): Judged => ({
    state,
    detail,
    problems: [{ kind, about: 'storage', message: detail, hint }],
  });
  const log = `its log: ${dir.log}/storage.log`;
  const [{ process, http }, { up, noted }] = [storage, main];
  const isStarting = noted !== null && mayStart(noted, nowMs);
  if (process === null) {
    if (up !== null && noted?.phase === 'stopping') return { state: 'stopped', detail: null, problems: [] };
    if (isStarting) return { state: 'starting', detail: null, problems: [] };
    if (up !== null) return wrong('failed', 'failed', 'the storage has ended; it is started again', log);
    if (!anyRuns) return { state: 'stopped', detail: null, problems: [] };
    return wrong(
      'no_storage',
      'stopped',
      'computes run, but the storage does not: their commits wait',
      `end everything with: ${called.stop}. Then start again: ${called.start}`,
    );
  }
  if (process.suspended)
    return wrong(
      'suspended',
      'no_answer',
      `the storage (pid ${process.pid}) is suspended, and does nothing: commits wait`,
      `let it continue: kill -CONT ${process.pid}`,
    );
  if (isStarting && (http?.kind === 'silent' || http?.kind === 'deaf'))
    return { state: 'starting', detail: http.kind === 'silent' ? silence : null, problems: [] };
  if (http?.kind === 'silent')
    return wrong(
      'no_answer',
      'no_answer',
      `the storage (pid ${process.pid}): ${silence}`,
      `kill -9 ${process.pid}: it is started again, and no commit is lost; ${log}`,
    );
  if (http?.kind === 'deaf')
    return wrong(
      'failed',
      'failed',
      `the storage (pid ${process.pid}) does not listen on port ${http.port}`,
      log,
    );
  if (http?.kind === 'failed')
    return wrong('failed', 'failed', `the storage does not answer: ${http.reason}`, log);
  if (up === null)
    return wrong(
      'orphaned',
      'running',
      'the storage runs without a compute-local up',
      `end it with: ${called.stop}; or start everything with: ${called.start}`,
    );
  const troubles = valueOf(http)?.troubles ?? [];
  if (troubles.length > 0)
    return {
      state: 'running',
      detail: null,
      problems: troubles.map(({ what, since, reason, act }) => ({
        kind: 'storage_trouble',
        about: 'storage',
        message: `${what}, since ${since}: ${reason}`,
        hint: act,
      })),
    };
  if (valueOf(http)?.attached === false && judged.get(primary)?.state === 'running')
    return wrong(
      'not_receiving',
      'running',
      `the storage receives no WAL from ${primary}: commits wait`,
      `the reason is in ${log.slice('its '.length)}`,
    );
  return { state: 'running', detail: null, problems: [] };
}

/** What is wrong with who writes. */
function primaryProblems({ computes, primary }: Facts, judged: ReadonlyMap<string, Judged>): Problem[] {
  const main = computes[0];
  const chosen = computes.find(({ name }) => name === primary);
  if (main === undefined || chosen === undefined) return [];
  const writes = (one: ComputeFacts): boolean => valueOf(one.sql)?.standby === false;
  const others = computes.filter((one) => one !== chosen && one.up !== null && writes(one));
  const problems: Problem[] = others.map(({ name }) => ({
    kind: 'two_primaries',
    about: name,
    message: `${name} accepts writes, too, but ${primary} is the primary: commits on ${name} wait for ever`,
    hint:
      name === main.name
        ? 'end compute-local up and start it again: the main compute is the primary then'
        : `end compute-local up of ${name} and start it again: it is a replica then`,
  }));
  if (chosen === main) return problems;
  if (judged.get(primary)?.state === 'stopped' && main.up !== null)
    problems.push({
      kind: 'no_primary',
      about: primary,
      message: `${primary} is the primary since its promotion, but it does not run`,
      hint: `start it again: compute-local up --replica --name ${primary}; or make ${main.name} the primary: end compute-local up and start it again`,
    });
  else if (valueOf(chosen.sql)?.standby === true)
    problems.push({
      kind: 'promotion_incomplete',
      about: primary,
      message: `the promotion of ${primary} has begun, but it is still a replica`,
      hint: `unless it is running just now, repeat it: compute-local promote --name ${primary}`,
    });
  return problems;
}

/** What takes long in the start of a large database. */
function whileCopying({ name }: ComputeFacts, judged: Judged, { primary, storage }: Facts): Judged {
  const copied = valueOf(storage.http)?.copying ?? null;
  if (copied === null || name !== primary || judged.state !== 'starting') return judged;
  return { ...judged, detail: `the data directory is copied from the storage: ${copiedText(copied)}` };
}

function computeReport(
  facts: ComputeFacts,
  { state, detail }: Judged,
  primary: string,
  end: Lsn | null,
): ComputeReport {
  const { name, mode, up, noted, ctl, postgres, sql, dir } = facts;
  const { ports } = facts.state;
  const told = valueOf(sql);
  const role = name === primary ? 'primary' : mode === 'replica' ? 'replica' : 'view';
  const replayed = parseLsn(told?.lsn ?? '');
  const knowsLag = role === 'replica' && told?.standby === true && end !== null && replayed !== null;
  const behind = knowsLag ? Math.max(0, Number(end - replayed)) : 0;
  return {
    name,
    role,
    state,
    detail,
    up_pid: up?.pid ?? null,
    compute_ctl_pid: ctl?.pid ?? null,
    postgres_pid: postgres?.pid ?? null,
    since: postgres?.since ?? null,
    exits: noted?.exits.compute ?? 0,
    ports: { postgres: ports.postgres, http: ports.externalHttp, internal_http: ports.internalHttp },
    lsn: told?.lsn ?? null,
    at_lsn: mode === 'replica' ? null : mode.atLsn,
    lag: knowsLag ? { bytes: behind, seconds: behind === 0 ? 0 : (told.replayAge ?? null) } : null,
    connections: told?.connections ?? null,
    sleep: sleepReport(facts),
    disk_bytes: facts.data.bytes + facts.logs.bytes,
    log_dir: dir.log,
  };
}

function sleepReport({ sleep }: ComputeFacts): ComputeReport['sleep'] {
  if (sleep === null) return null;
  const { pid: _, started: __, ...report } = sleep;
  return report;
}

function storageReport(
  { storage, state: { ports } }: Facts,
  judged: Judged,
  { noted }: ComputeFacts,
): StorageReport {
  return {
    state: judged.state,
    detail: judged.detail,
    pid: storage.process?.pid ?? null,
    since: storage.process?.since ?? null,
    exits: noted?.exits.storage ?? 0,
    ports: {
      pageserver: ports.pageserver,
      safekeeper: ports.safekeeper,
      control_plane: ports.controlPlane,
    },
    ...storage.stored,
    ...valueOf(storage.http),
  };
}
