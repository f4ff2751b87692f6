import type { Compute } from '../lifecycle/compute.ts';
import type { ComputeState } from '../lifecycle/state.ts';
import type { RunOptions } from '../config/options.ts';
import { mainOptions } from '../config/options/main.ts';
import { ComputeError, explained } from '../core/errors.ts';
import { keepYoungSpaceSmall } from '../core/garbage.ts';
import { failpoints } from '../core/failpoints.ts';
import type { Log } from '../core/log.ts';
import type { Status } from '../core/status.ts';
import type { Auth } from '../http/auth.ts';
import type { RunningServer } from '../http/server.ts';
import type { Metrics } from '../metrics/registry.ts';

const closeMs = 2000;
const loopbacks: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** Starts loading the HTTP server's modules while the start waits for the config. */
export const loadHttp = () =>
  Promise.all([
    import('../http/server.ts'),
    import('../http/routes/external.ts'),
    import('../http/routes/internal.ts'),
  ]);

export type HttpModules = ReturnType<typeof loadHttp>;

export interface HttpParts {
  readonly http: HttpModules;
  readonly options: RunOptions;
  readonly env: NodeJS.ProcessEnv;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly app: Compute;
  readonly auth: Auth;
  readonly state: ComputeState;
}

/** Runs both servers for as long as the compute runs. Without its ports, the compute does not continue; only the default port of
 *  the internal server may be another compute's.
 *  @param ran the exit code of the compute */
export async function withHttp(parts: HttpParts, ran: Promise<number>): Promise<number> {
  const closed = new AbortController();
  try {
    const servers = await start(parts, closed.signal);
    parts.log.debug(`listening ${Math.round(performance.now())} ms after the start of the process`);
    keepYoungSpaceSmall();
    const code = await ran;
    await Promise.all(servers.map((server) => server.close(closeMs)));
    return code;
  } catch (error) {
    parts.state.stop.bySignal();
    await ran;
    throw error;
  } finally {
    closed.abort();
  }
}

async function start(parts: HttpParts, signal: AbortSignal): Promise<RunningServer[]> {
  const { app: compute, auth, metrics, log, options, env } = parts;
  const [{ startServer }, { externalRoutes }, { internalRoutes, testRoutes }] = await parts.http;
  const status = (): Status => compute.lifecycle.status;
  const app = { compute, metrics };
  const answered = (path: string | null, code: number): void =>
    metrics.inc('compute_ctl_http_requests_total', { path: path ?? 'other', status: String(code) });
  const service = { program: 'compute_ctl', app, status, auth, log, signal, answered };
  if (options.enableFailpoints) failpoints.setAll(env['FAILPOINTS'] ?? '');
  const external = await startServer({
    ...service,
    routes: externalRoutes,
    name: 'external HTTP server',
    host: options.externalHttpHost,
    port: options.externalHttpPort,
    // On the loopback, its callers are on this machine.
    localOnly: loopbacks.includes(options.externalHttpHost),
  });
  const internal = startServer({
    ...service,
    routes: options.enableFailpoints ? [...internalRoutes, ...testRoutes] : internalRoutes,
    name: 'internal HTTP server',
    host: options.internalHttpHost,
    port: options.internalHttpPort,
    localOnly: true,
  });
  const others = await internal.then(
    (server) => [server],
    (error: unknown) => {
      if (!isSharedDefault(error, options.internalHttpPort)) throw error;
      log.error(
        `${explained(error)}; going on without it: Postgres cannot ask for extensions, and local_proxy not for grants. Give each compute of a machine its own --internal-http-port`,
      );
      return [];
    },
  );
  return [external, ...others];
}

/** True for callers that run several computes on one machine and name only the external port, as they can with the original. */
const isSharedDefault = (error: unknown, port: number): boolean =>
  port === mainOptions.internalHttpPort.fallback &&
  error instanceof ComputeError &&
  (error.cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE';
