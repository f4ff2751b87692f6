import {
  type Context,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  SpanKind,
  SpanStatusCode,
  type Tracer as OtelTracer,
  defaultTextMapGetter,
  diag,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { never } from '../core/abort.ts';
import { withDeadline } from '../core/clock.ts';
import { explained, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Attributes, Span, TraceHeaders, Tracer } from './trace.ts';

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends the remaining spans, for `limitMs` milliseconds at most, and ends tracing. Never throws. */
  end(limitMs: number): Promise<void>;
}

const service = 'compute_ctl';

/** Sends spans by OTLP over HTTP. Endpoint, headers, resource, sampling and batches come from the standard variables, which
 *  the packages read from the process's environment.
 *  @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
export function startTracing(log: Log): Tracing {
  followExport(log);
  // The service name is fixed, as in the original; OTEL_SERVICE_NAME has no effect.
  const named = resourceFromAttributes({ 'service.name': service });
  const provider = new BasicTracerProvider({
    resource: detectResources({ detectors: [envDetector] }).merge(named),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = tracerOf(provider.getTracer(service));
  return {
    tracer,
    end: async (limitMs) => {
      try {
        await withDeadline('sending the last spans', limitMs, never, () => provider.shutdown());
      } catch (error) {
        log.warn(explained(error));
      }
    },
  };
}

/** Logs the first failure as a warning, later ones at debug level: a missing collector must not fill the log. */
function followExport(log: Log): void {
  let told = false;
  const note = (message: string): void => {
    log[told ? 'debug' : 'warn'](`tracing: ${message.slice(0, 500)}`);
    told = true;
  };
  const silent = (): void => {};
  diag.setLogger({ error: note, warn: note, info: silent, debug: silent, verbose: silent });
}

class OpenSpan implements Span {
  readonly span: OtelSpan;

  constructor(span: OtelSpan) {
    this.span = span;
  }

  set(attributes: Attributes): void {
    this.span.setAttributes({ ...attributes });
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      this.span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
    }
    this.span.end();
  }
}

const tracerOf = (tracer: OtelTracer): Tracer => ({
  open: (name, kind, attributes, parent) => {
    const options = {
      kind: kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL,
      attributes: { ...attributes },
    };
    return new OpenSpan(tracer.startSpan(name, options, contextOf(parent)));
  },
});

const propagator = new W3CTraceContextPropagator();

/** The context with a new span's parent: our own span, or a caller's from its headers. An invalid header is ignored. */
export const contextOf = (parent: Span | TraceHeaders | null): Context =>
  parent instanceof OpenSpan
    ? trace.setSpan(ROOT_CONTEXT, parent.span)
    : propagator.extract(ROOT_CONTEXT, parent ?? {}, defaultTextMapGetter);
