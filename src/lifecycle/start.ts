import { never } from '../core/abort.ts';
import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import { formatLsn } from '../core/lsn.ts';
import {
  copyFormerSignal,
  createStandbySignal,
  ensureHbaLine,
  linkDynamicSharedMemory,
  writeOverride,
} from '../postgres/files.ts';
import { sinkFor } from '../postgres/log-sink.ts';
import { addLakebaseFiles, lakebaseEnv } from '../postgres/lakebase.ts';
import { lockInside, lockPgdata } from '../postgres/lock.ts';
import { canonicalPath } from '../postgres/path.ts';
import { markerFile } from '../postgres/marker.ts';
import { checkWipeable, emptyPgdata, preparePgdata } from '../postgres/prepare.ts';
import { sqlState } from '../pg/client.ts';
import { openPageserver } from '../storage/basebackup.ts';
import { syncSafekeepers } from '../storage/sync.ts';
import { removeStaleSockets } from '../postgres/stale-sockets.ts';
import { serverSetting } from '../postgres/server-setting.ts';
import { leftoverLimits, stopLeftover } from '../postgres/leftover.ts';
import { startPostgres as spawnPostgres } from '../postgres/postgres.ts';
import { tlsEntries } from '../postgres/tls-placed.ts';
import { Watcher } from '../postgres/watcher.ts';
import { configureCatalog, leavingDatabases } from './configure-catalog.ts';
import { bringLateTls, writeConfigFiles } from './config-files.ts';
import { type StartContext, pathOf, required } from './context.ts';
import { usePrepared } from './prepared.ts';
import { step, together } from './steps.ts';
import { syncContext } from './sync-context.ts';
import { brokenSequences } from './unlogged-sequences.ts';

/** The steps from a spec to a running, configured Postgres. */
export const startup = [
  step('secure-data-dir', secureDataDir), // refuses a foreign PGDATA, takes the lock, stops a Postgres of an earlier run
  step('prepare-data-dir', prepareDataDir), // an empty PGDATA
  together<StartContext>(
    step('write-config', writeConfig), // postgresql.conf
    step('sync-safekeepers', findStartLsn), // the LSN to start at
    step('connect-pageserver', connectPageserver, ({ pageserver }) => pageserver?.close()),
    step('start-watcher', startWatcher), // ends Postgres if this process is killed
    step('start-services', startServices), // swap, disk quota
  ),
  together<StartContext>(
    step('fetch-base-backup', fetchBaseBackup), // pageserver, or what was prepared → PGDATA
    step('load-extensions', loadExtensions), // what Postgres must have at its start
  ),
  step('finish-data-dir', finishDataDir), // pg_hba.conf, links, signal files
  step('start-postgres', startPostgres, stopPostgres), // spawned, and ready
  step('apply-catalog', applyCatalog), // roles, databases; those that fail are tried again later
] as const;

async function secureDataDir(context: StartContext, signal: AbortSignal): Promise<void> {
  const { settings, log } = context;
  const path = await canonicalPath(settings.pgdata);
  checkWipeable(path, settings);
  context.lock = await lockPgdata(path);
  await stopLeftover(path, leftoverLimits, log, signal);
}

async function prepareDataDir(context: StartContext, signal: AbortSignal): Promise<void> {
  const { settings } = context;
  context.pgdata = await preparePgdata(settings.pgdata, signal, settings);
}

function writeConfig(context: StartContext): Promise<void> {
  const { settings, spec, log } = context;
  const options = { pgdata: pathOf(context), subscriptionsDropped: false, log };
  context.configWritten = writeConfigFiles(settings, spec, options);
  return context.configWritten;
}

async function findStartLsn(context: StartContext, signal: AbortSignal): Promise<void> {
  const { spec, state, log } = context;
  if (spec.mode.kind === 'static') context.lsn = spec.mode.lsn;
  if (spec.mode.kind !== 'primary') return;
  const found = await syncSafekeepers(syncContext(context, context.configWritten, signal), signal);
  context.lsn = found.lsn;
  state.figures.sync_sk_check_ms = found.checkMs;
  state.figures.sync_safekeepers_ms = found.syncMs ?? 0;
  log.info(`starting at LSN ${formatLsn(found.lsn)}`);
}

/** What these steps have put into PGDATA, which a base backup must not replace. */
const ownEntries: ReadonlySet<string> = new Set(['postgresql.conf', ...tlsEntries, markerFile, lockInside]);

async function emptied(context: StartContext, signal: AbortSignal): Promise<void> {
  await emptyPgdata(pathOf(context), signal);
  await writeConfig(context);
}

function connectPageserver(context: StartContext, signal: AbortSignal): void {
  const { spec, settings, log, state } = context;
  const pgdata = pathOf(context);
  context.pageserver = openPageserver(
    {
      pageserver: spec.pageserver,
      tenantId: spec.tenantId,
      timelineId: spec.timelineId,
      token: spec.spec.storage_auth_token,
      mode: spec.mode.kind,
      pgdata,
      keep: ownEntries,
      emptied: () => emptied(context, signal),
      needsWal: true,
      log,
      track: state.retries.track('pageserver'),
      limits: { retries: settings.basebackupRetries, idleMs: settings.basebackupIdleMs },
      unpackLimits: settings.unpackLimits,
    },
    signal,
  );
}

function loadExtensions({ services, spec }: StartContext, signal: AbortSignal): Promise<void> {
  return services.bring('with-base-backup', spec, signal);
}

async function startWatcher(context: StartContext): Promise<void> {
  context.watcher = await Watcher.start(pathOf(context), context.settings.env, context.log);
}

function startServices({ services, spec }: StartContext, signal: AbortSignal): Promise<void> {
  return services.bring('before-postgres', spec, signal);
}

/** Rolls back a failed base backup: PGDATA is emptied, so that it cannot be taken for a data directory. A later failure
 *  keeps PGDATA, with logs and core dumps; the next start removes it. */
async function fetchBaseBackup(context: StartContext, signal: AbortSignal): Promise<void> {
  const { figures } = context.state;
  const pageserver = required('the pageserver', context.pageserver);
  if (await usePrepared(context, ownEntries, () => emptied(context, signal))) return pageserver.close();
  const fetched = await pageserver.fetch(context.lsn, signal).catch(async (error: unknown) => {
    await emptyPgdata(pathOf(context), never).catch((left: unknown) => context.log.warn(explained(left)));
    throw error;
  });
  figures.pageserver_connect_micros = fetched.connectMicros;
  figures.basebackup_ms = fetched.ms;
  figures.basebackup_bytes = fetched.bytes;
}

async function finishDataDir(context: StartContext): Promise<void> {
  const pgdata = pathOf(context);
  const { databricks_settings: databricks } = context.spec.spec;
  copyFormerSignal(pgdata);
  if (databricks !== null) await addLakebaseFiles(databricks, pgdata);
  await ensureHbaLine(pgdata);
  await linkDynamicSharedMemory(pgdata);
  await bringLateTls(context.settings, context.spec, { pgdata, log: context.log });
  if (context.spec.mode.kind !== 'primary') createStandbySignal(pgdata);
  // Written before Postgres starts, so that the catalog pass requires no reload.
  else if (!context.spec.spec.skip_pg_catalog_updates) await writeOverride(pgdata);
}

async function startPostgres(context: StartContext, signal: AbortSignal): Promise<void> {
  const { settings, spec, state, log } = context;
  const startMs = monotonicMs();
  const sockets = {
    directories: serverSetting(spec.spec, 'unix_socket_directories'),
    port: settings.lakebase === null ? serverSetting(spec.spec, 'port') : String(settings.lakebase.port),
  };
  const sinceMs = Date.now();
  await startServer(context, sockets, signal);
  // Nobody can use them, and who has connected meanwhile can do so again.
  const broken = isRecovered(context) ? brokenSequences(pathOf(context), sinceMs) : [];
  if (broken.length > 0) {
    log.info(`Postgres is started once more, which repairs unlogged sequences: ${broken.join(', ')}`);
    await stopPostgres(context);
    await startServer(context, sockets, signal);
  }
  state.figures.start_postgres_ms = elapsedMs(startMs);
}

/** PostgreSQL has unlogged sequences since 15. */
const isRecovered = ({ settings, spec }: StartContext): boolean =>
  spec.mode.kind === 'primary' && settings.bin.major >= 15;

async function startServer(
  context: StartContext,
  sockets: Parameters<typeof removeStaleSockets>[0],
  signal: AbortSignal,
): Promise<void> {
  const { settings, spec, state, log } = context;
  removeStaleSockets(sockets, log);
  state.postgres = await spawnPostgres({
    bin: settings.bin,
    pgdata: pathOf(context),
    env: { ...settings.env, ...(settings.lakebase && lakebaseEnv(spec.spec, settings.lakebase)) },
    authToken: spec.spec.storage_auth_token,
    cgroup: settings.vm.scaling?.cgroup.name ?? null,
    log,
    sink: sinkFor(settings.logFormat),
    logPrefix: serverSetting(spec.spec, 'log_line_prefix'),
  });
  state.spawned.resolve();
  await state.postgres.waitReady(settings.startTimeoutMs, signal);
}

async function stopPostgres({ state }: StartContext): Promise<void> {
  await state.postgres?.stop('immediate', { fastMs: 0 }, state.stop.escalate);
  state.postgres = null;
}

async function applyCatalog(context: StartContext, signal: AbortSignal): Promise<void> {
  const startMs = monotonicMs();
  if (context.spec.mode.kind === 'primary') {
    await leavingDatabases(configureCatalog(context, 'start', signal)).catch(async (error: unknown) => {
      throw await withWords(error, context);
    });
  }
  context.state.figures.config_ms = elapsedMs(startMs);
}

/** SQLSTATEs of a server that is ending, not there, or damaged: a session may hear of the damage itself, or only that the server
 *  ends because of it. */
const serverGone = /^(?:57P0|08|58|XX)/;

/** A server that crashes says why in its log, and only there: who connects just hears that it is not there. */
async function withWords(error: unknown, context: StartContext): Promise<unknown> {
  const { state } = context;
  const isGone = error instanceof ComputeError && serverGone.test(sqlState(error) ?? '08');
  if (!isGone || state.stop.asked.aborted) return error;
  // The start has failed. Only after the end of the server its log has been read to the end.
  await state.postgres?.stop('immediate', { fastMs: 0 }, state.stop.escalate);
  const words = state.postgres?.lastWords ?? null;
  if (words === null) return error;
  words.cause = error.cause;
  const { hint = 'correct what PostgreSQL names, and start again; the log lines with PG: hold the rest' } =
    error;
  return new ComputeError(error.code, error.message, { cause: words, hint });
}
