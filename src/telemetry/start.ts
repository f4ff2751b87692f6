import type { Log } from '../core/log.ts';
import { explained } from '../core/errors.ts';
import { type TraceHeaders, useTracer } from './trace.ts';

const flushMs = 2000;

/** Starts tracing if the environment names a collector; otherwise none of the tracing packages is loaded.
 *  @returns a function that ends tracing, after the last spans were sent or after 2 s */
export async function startTracingIfAsked(env: NodeJS.ProcessEnv, log: Log): Promise<() => Promise<void>> {
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '';
  if (endpoint === '' || env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return async () => {};
  try {
    const { startTracing } = await import('./otlp.ts');
    const tracing = startTracing(log);
    useTracer(tracing.tracer);
    return async () => {
      useTracer(null);
      await tracing.end(flushMs);
    };
  } catch (error) {
    log.warn(`tracing is off: ${explained(error)}`);
    return async () => {};
  }
}

/** The trace headers of the process's caller, from the environment. */
export const headersFromEnv = (env: NodeJS.ProcessEnv): TraceHeaders => ({
  traceparent: env['TRACEPARENT'],
  tracestate: env['TRACESTATE'],
});
