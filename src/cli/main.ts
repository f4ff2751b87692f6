import { catalogInput } from '../catalog/input.ts';
import { statementsCancelled } from '../catalog/run.ts';
import { assertValid } from '../catalog/validate.ts';
import { type LoadDeps, type LoadedConfig, loadConfig } from '../config/load.ts';
import type { RunOptions } from '../config/options.ts';
import { ComputeError, errorCodes, explained } from '../core/errors.ts';
import type { ExplainedFailure } from '../core/failure.ts';
import { failpoints } from '../core/failpoints.ts';
import type { Log } from '../core/log.ts';
import { statusText } from '../core/status.ts';
import { droppedLines } from '../core/stderr.ts';
import { ownDatabase } from '../database/api.ts';
import { Writability } from '../database/writability.ts';
import type { JwtAuth } from '../http/jwt.ts';
import { SpecAcceptance } from '../lifecycle/accept-spec.ts';
import { Compute } from '../lifecycle/compute.ts';
import { followLifecycle } from '../lifecycle/follow-monitor.ts';
import { Operations } from '../lifecycle/operations.ts';
import { runCompute } from '../lifecycle/run.ts';
import { followStart } from '../lifecycle/start-metrics.ts';
import { ComputeState } from '../lifecycle/state.ts';
import { tellSystemd } from '../lifecycle/tell-systemd.ts';
import { Metrics } from '../metrics/registry.ts';
import { followAttached } from '../metrics/attached.ts';
import { followProcess } from '../metrics/process.ts';
import { followStatus } from '../metrics/up.ts';
import { Monitor } from '../monitor/monitor.ts';
import { readStatistics } from '../monitor/statistics.ts';
import { loadClient } from '../pg/client.ts';
import { parseConnstr } from '../pg/connstr.ts';
import { assertLakebase } from '../postgres/lakebase.ts';
import type { PostgresBin } from '../postgres/postgres-bin.ts';
import { loadGrpc } from '../storage/grpc.ts';
import { type Settings, settingsOf } from '../services/settings.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { headersFromEnv, startTracingIfAsked } from '../telemetry/start.ts';
import { authOf } from './auth.ts';
import { serviceParts } from './service-parts.ts';
import type { StopSource } from './stop-source.ts';
import { type HttpModules, loadHttp, withHttp } from './serve-http.ts';

export interface MainDeps {
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  /** Ends the compute from outside. */
  readonly stops: StopSource;
  /** Aborts when the program is stopped before there is a compute. */
  readonly early: AbortSignal;
  readonly postgres: Promise<PostgresBin>;
}

/** Runs one compute from its command line to its end.
 *  @returns the exit code
 *  @throws ComputeError for errors before there is a compute: config, connection string, programs, ports */
export async function main(options: RunOptions, deps: MainDeps): Promise<number> {
  const endTracing = await startTracingIfAsked(deps.env, deps.log);
  try {
    return await run(options, deps);
  } finally {
    await endTracing();
  }
}

async function run(options: RunOptions, { log, env, stops, early, postgres }: MainDeps): Promise<number> {
  const metrics = new Metrics();
  const target = parseConnstr(options.connstr);
  const config = loadConfig(options, { ...loading({ log, env, metrics }), signal: early });
  const found = Promise.all([config, postgres]);
  const grpc = loadGrpcIfUsed(config);
  // Postgres is asked for its version, and the config is read, while these are loaded.
  const http = loadHttp();
  for (const loading of [found, grpc, http, loadClient()]) loading.catch(() => {}); // whoever needs it hears of its failure
  const [loaded, bin] = await found;
  const settings = settingsOf(options, env, { target, bin, tls: loaded.config.tls });
  return serveCompute({ options, settings, loaded, metrics, log, env, stops, http });
}

async function loadGrpcIfUsed(config: Promise<LoadedConfig>): Promise<void> {
  const { spec } = await config;
  if (spec?.pageserver.preferProtocol === 'grpc') await loadGrpc();
}

const loading = ({
  log,
  env,
  metrics,
}: Pick<Parts, 'log' | 'env' | 'metrics'>): Omit<LoadDeps, 'signal'> => ({
  log,
  env,
  onControlPlaneAttempt: (http_status) =>
    metrics.inc('compute_ctl_cplane_requests_total', { http_status, rpc: 'GetConfig' }),
});

interface Parts {
  readonly options: RunOptions;
  readonly settings: Settings;
  readonly loaded: LoadedConfig;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  readonly stops: StopSource;
  readonly http: HttpModules;
}

async function serveCompute(parts: Parts): Promise<number> {
  const { options, settings, loaded, metrics, log } = parts;
  const state = new ComputeState(null, options);
  const auth = authOf(parts);
  const rotateKeys = (jwks: Parameters<JwtAuth['setKeys']>[0]): Promise<unknown> =>
    auth
      .setKeys(jwks)
      .catch((error: unknown) =>
        log.error(`could not replace the keys, so the current keys stay in use: ${explained(error)}`),
      );
  const specs = new SpecAcceptance({ state, rotateKeys, validate: (spec) => validate(spec, settings) });
  // Its keys are those that the server starts with.
  if (loaded.spec !== null) {
    await specs.accept({ spec: loaded.spec, config: null }, 'first');
    state.askedBy = headersFromEnv(parts.env);
  }
  followStatus(metrics, state.lifecycle);
  followStart(metrics, state);
  followProcess(metrics);
  followAttachment(parts, state);
  metrics.observe('compute_ctl_log_lines_dropped_total', droppedLines);
  metrics.observe('compute_ctl_failed_databases', () => state.databases.size);
  metrics.observe('pg_cctl_configure_statement_timeout_errors_total', statementsCancelled);
  state.lifecycle.changed.on('status', ({ from, to }) =>
    log.info(`Changing compute status from ${statusText(from)} to ${statusText(to)}`),
  );
  const monitor = new Monitor({
    target: settings.target,
    log,
    metrics,
    isRunning: () => state.postgres?.running ?? false,
    beside: (signal) =>
      readStatistics({ target: settings.target, pgdata: settings.pgdata, metrics, log }, signal),
    useStatistics: () => state.spec?.spec.features.includes('activity_monitor_experimental') ?? false,
  });
  state.monitor = monitor;
  followLifecycle(monitor, state.lifecycle, () => state.postgres?.exited);
  const writability = new Writability({ target: settings.target, log });
  const pgdata = (): Operations['pgdata'] => operations.pgdata;
  const { services, extensions, lfc, end } = serviceParts(parts, state, pgdata);
  state.services = services;
  const operations = new Operations({ settings, state, log, services, failpoints, lfc });
  const controlPlane = state.retries.track('control_plane');
  const app = new Compute({
    state,
    log,
    liveConfigAllowed: loaded.liveConfigAllowed,
    specs,
    operations,
    checkWritability: (signal) => writability.check(signal),
    load: (signal) => loadConfig(options, { ...loading(parts), track: controlPlane, signal }),
    database: ownDatabase(settings, log),
    lfc,
    extensions,
  });
  parts.stops.goTo(state.stop);
  parts.stops.onReload(() => {
    if (isReadOnce(loaded)) throw new ComputeError('not_allowed', 'there is no configuration to read again');
    app.refresh();
  });
  const systemd = tellSystemd({ state, log, env: parts.env });
  let code: number;
  try {
    await services.bring('with-process', state.spec, state.stop.asked);
    const { stopTimeoutMs, exitGraceMs } = settings;
    const ran = runCompute({ state, log, operations, stopTimeoutMs, exitGraceMs });
    code = await withHttp({ ...parts, app, auth, state }, ran);
  } finally {
    await monitor.stop();
    await end();
    await operations.end(state.stop.escalate);
    await systemd.end();
  }
  // A compute may be stopped in order after a failed reconfiguration.
  const { failure } = state.lifecycle;
  if (code !== 0 || failure?.code === 'postgres_exited') logFailure(log, failure);
  return state.stop.defect ? errorCodes.defect.exit : code;
}

/** Once more, as the last thing: what else was logged meanwhile must not hide the reason of the end. */
function logFailure(log: Log, failure: ExplainedFailure | null): void {
  if (failure === null) return;
  const { code, step, sqlstate } = failure;
  log.error(
    { error_code: code, ...(step && { step }), ...(sqlstate && { sqlstate }) },
    `compute_ctl exits: ${failure.line}`,
  );
}

function validate(spec: ResolvedSpec, { target, privilegedRole, bin }: Settings): void {
  assertLakebase(spec.spec, bin.major);
  assertValid(catalogInput(spec, { target, privilegedRole, stage: 'reconfigure' }));
}

/** A spec of the command line stays as it is, and a compute that started empty is configured by HTTP. */
const isReadOnce = ({ source, spec }: LoadedConfig): boolean =>
  source === 'legacy-spec' || source === 'none' || (source === 'file' && spec === null);

/** Only lakebase mode has instance ids. */
function followAttachment({ options, metrics, env }: Parts, state: ComputeState): void {
  const instanceId = env['INSTANCE_ID'];
  if (!options.lakebaseMode || instanceId === undefined) return;
  followAttached(metrics, state.lifecycle, () => {
    if (state.spec === null) return null;
    const { tenantId, timelineId } = state.spec;
    return {
      pg_compute_id: options.computeId ?? '',
      pg_instance_id: instanceId,
      tenant_id: tenantId,
      timeline_id: timelineId,
    };
  });
}
