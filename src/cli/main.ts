import { Background } from '../services/background.ts';
import { Compute } from '../lifecycle/compute.ts';
import type { StartContext } from '../lifecycle/context.ts';
import { ownDatabase } from '../database/api.ts';
import { leaseForStatic } from '../services/lsn-lease.ts';
import { leave } from '../lifecycle/shutdown.ts';
import { type PrewarmState, noLfc } from '../services/file-cache.ts';
import { runMigrations } from '../services/migrations.ts';
import { notBuiltYet } from '../services/not-built.ts';
import { promotion } from '../lifecycle/promote.ts';
import type { PromotionsOptions } from '../lifecycle/promotions.ts';
import { reconfiguration, withSpec } from '../lifecycle/reconfigure.ts';
import { runCompute } from '../lifecycle/run.ts';
import { type Settings, environmentOfPostgres } from '../services/settings.ts';
import { startup } from '../lifecycle/start.ts';
import { ComputeState } from '../lifecycle/state.ts';
import { tell } from '../lifecycle/steps.ts';
import { VmDuties } from '../services/vm-duties.ts';
import { catalogInput } from '../catalog/input.ts';
import { statementsCancelled } from '../catalog/run.ts';
import { assertValid } from '../catalog/validate.ts';
import { parseConnstr } from '../pg/connstr.ts';
import { type LoadDeps, type LoadedConfig, loadConfig } from '../config/load.ts';
import type { RunOptions } from '../config/options.ts';
import { ComputeError } from '../core/errors.ts';
import { failpoints } from '../core/failpoints.ts';
import type { Log } from '../core/log.ts';
import { noLsn } from '../core/lsn.ts';
import { type Auth, createAuth } from '../http/auth.ts';
import { Metrics } from '../metrics/registry.ts';
import { followAttached } from '../metrics/attached.ts';
import { followStatus } from '../metrics/up.ts';
import { followLifecycle } from '../lifecycle/follow-monitor.ts';
import { Monitor } from '../monitor/monitor.ts';
import { Writability } from '../database/writability.ts';
import { loadClient } from '../pg/client.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { type HttpModules, loadHttp, withHttp } from './serve-http.ts';
import { findRunAs } from '../process/os-user.ts';
import { headersFromEnv, startTracingIfAsked } from '../telemetry/start.ts';
import { traced } from '../telemetry/trace.ts';
import { locatePostgres } from '../postgres/postgres-bin.ts';
import { vmSettings } from '../services/vm-settings.ts';

export interface MainDeps {
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  /** Told once the signals of the operating system have somebody to go to. */
  readonly onStop: (bySignal: () => void) => void;
}

const backgroundMs = 5000;

/** Runs one compute from its command line to its end.
 *  @returns the exit code
 *  @throws ComputeError for what is wrong before there is a compute: config, connection string, programs, ports */
export async function main(options: RunOptions, deps: MainDeps): Promise<number> {
  const endTracing = await startTracingIfAsked(deps.env, deps.log);
  try {
    return await run(options, deps);
  } finally {
    await endTracing();
  }
}

async function run(options: RunOptions, { log, env, onStop }: MainDeps): Promise<number> {
  // What is loaded while the config and the version of Postgres are waited for costs the start nothing.
  const http = loadHttp();
  const driver = loadClient();
  for (const loading of [http, driver]) loading.catch(() => {}); // whoever needs it hears of its failure
  const early = new AbortController();
  onStop(() => early.abort(new ComputeError('terminated', 'stopped by a signal before the start')));
  const metrics = new Metrics();
  const target = parseConnstr(options.connstr);
  const runAs = await findRunAs(options.osUser);
  const [loaded, bin] = await Promise.all([
    loadConfig(options, { ...loading({ log, env, metrics }), signal: early.signal }),
    locatePostgres(options.pgbin, env, runAs, early.signal),
  ]);
  const { tls } = loaded.config;
  const settings: Settings = {
    pgdata: options.pgdata,
    bin,
    runAs,
    target,
    env: environmentOfPostgres(env),
    privilegedRole: options.privilegedRoleName,
    internalHttpPort: options.internalHttpPort,
    tls: tls === null ? null : { keyPath: tls.key_path, certPath: tls.cert_path },
    startTimeoutMs: options.startTimeoutSeconds * 1000,
    stopTimeoutMs: options.stopTimeoutSeconds * 1000,
    syncTimeoutMs: options.syncTimeoutSeconds * 1000,
    basebackupIdleMs: options.basebackupIdleTimeoutSeconds * 1000,
    exitGraceMs: options.exitGraceMs,
    vm: vmSettings(options, env),
  };
  return serveCompute({ options, settings, loaded, metrics, log, env, onStop, http });
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
  readonly onStop: MainDeps['onStop'];
  readonly http: HttpModules;
}

async function serveCompute(parts: Parts): Promise<number> {
  const { settings, loaded, metrics, log } = parts;
  const state = new ComputeState(loaded.spec);
  if (loaded.spec !== null) state.askedBy = headersFromEnv(parts.env);
  if (loaded.spec !== null) validate(loaded.spec, settings);
  followStatus(metrics, state.lifecycle);
  followAttachment(parts, state);
  metrics.observe('pg_cctl_configure_statement_timeout_errors_total', statementsCancelled);
  state.lifecycle.changed.on('status', ({ from, to }) =>
    log.info(`Changing compute status from ${from.replaceAll('_', '-')} to ${to.replaceAll('_', '-')}`),
  );
  const monitor = new Monitor({
    target: settings.target,
    log,
    metrics,
    isRunning: () => state.postgres?.running ?? false,
    useStatistics: () => state.spec?.spec.features.includes('activity_monitor_experimental') ?? false,
  });
  state.monitor = monitor;
  followLifecycle(monitor, state.lifecycle, () => state.postgres?.exited);
  const writability = new Writability({ target: settings.target, log });
  const background = new Background(log);
  const vm = new VmDuties({ settings, state, metrics, log, background });
  let context: StartContext | null = null;

  const start = async (signal: AbortSignal): Promise<void> => {
    const spec = state.spec as ResolvedSpec;
    for (const line of notBuiltYet(spec)) log.warn(line);
    await vm.specArrived();
    background.run('lsn_lease_bg_task', (signal) => leaseForStatic(state, { metrics, log }, signal));
    context = newContext(parts, state, spec, background);
    const steps: Record<string, number> = {};
    const telling = { log, signal, onStep: (name: string, ms: number) => void (steps[name] = ms) };
    const { askedBy } = state;
    await traced('start_compute', {}, () => tell(startup, context as StartContext, telling), askedBy);
    state.figures.total_startup_ms = state.sinceStartMs;
    state.lifecycle.tryMove('running');
    log.info({ total_ms: state.figures.total_startup_ms, steps }, 'compute start finished');
    vm.postgresServes();
    if (spec.mode.kind === 'primary' && !spec.spec.skip_pg_catalog_updates) {
      background.run('migrations', (signal) => runMigrations(settings, { log, metrics, failpoints }, signal));
    }
    const { pgdata } = context;
    if (pgdata !== null) background.run('removing an earlier PGDATA', (signal) => pgdata.cleanUp(signal));
  };
  const reconfigure = (spec: ResolvedSpec): Promise<void> => {
    if (context === null) throw new ComputeError('internal', 'there is no compute to reconfigure');
    const telling = { log, signal: state.stop.asked, onStep: () => {} };
    const next = withSpec(context, spec);
    return traced('reconfigure', {}, () => tell(reconfiguration, next, telling));
  };
  const promote: PromotionsOptions['promote'] = async ({ replica, ...request }) => {
    if (context === null) throw new ComputeError('internal', 'there is no compute to promote');
    const took = new Map<string, number>();
    const prewarmState = (): PrewarmState => noLfc.prewarmState();
    const promoted = { ...withSpec(context, replica), ...request, prewarmState, failpoints };
    const onStep = (name: string, ms: number): unknown => took.set(name, ms);
    await tell(promotion, promoted, { log, signal: state.stop.asked, onStep });
    return took;
  };

  const auth = authOf(parts);
  const compute = new Compute({
    state,
    log,
    liveConfigAllowed: loaded.liveConfigAllowed,
    reconfigure,
    promote,
    validate: (spec) => validate(spec, settings),
    onConfig: ({ jwks }) => {
      if (jwks.keys.length > 0) void auth.setKeys(jwks);
    },
    checkWritability: (signal) => writability.check(signal),
    load: (signal) => loadConfig(parts.options, { ...loading(parts), signal }),
    database: ownDatabase(settings, log),
    lfc: noLfc,
    extensionGateway: parts.options.remoteExtBaseUrl,
  });
  parts.onStop(() => state.stop.bySignal());
  vm.begin();
  try {
    const ran = runCompute({
      state,
      log,
      start,
      afterPostgres: async (hurry) => {
        await vm.postgresGone();
        if (context !== null) await leave(context, hurry);
      },
      stopTimeoutMs: settings.stopTimeoutMs,
      exitGraceMs: settings.exitGraceMs,
    });
    return await withHttp({ ...parts, app: compute, auth, state }, ran);
  } finally {
    await monitor.stop();
    await background.end(backgroundMs);
    await (context as StartContext | null)?.lock?.release();
  }
}

function newContext(
  { settings, log }: Parts,
  state: ComputeState,
  spec: ResolvedSpec,
  background: Background,
): StartContext {
  const nothing = {
    lock: null,
    pgdata: null,
    pageserver: null,
    lsn: noLsn,
    configWritten: Promise.resolve(),
  };
  return { settings, state, spec, log, background, ...nothing };
}

/** Only lakebase mode knows the id of an instance. */
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

const validate = (spec: ResolvedSpec, { target, privilegedRole }: Settings): void =>
  assertValid(catalogInput(spec, { target, privilegedRole, stage: 'reconfigure' }));

function authOf({ options, loaded, log, env }: Parts): Auth {
  const instance = env['INSTANCE_ID'] !== undefined;
  if (instance && !options.lakebaseMode)
    log.warn('INSTANCE_ID is set: it has no effect outside lakebase mode');
  return createAuth({
    computeId: options.computeId,
    jwks: loaded.config.jwks,
    log,
    allowTokensWithoutExp: options.allowTokensWithoutExp,
    ...(instance && options.lakebaseMode && { switchedOffBecause: 'INSTANCE_ID is set in lakebase mode' }),
  });
}
