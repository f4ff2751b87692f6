import {
  type Context,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  SpanKind,
  SpanStatusCode,
  type Tracer as OtelTracer,
  createTraceState,
  diag,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { never } from '../core/abort.ts';
import { withDeadline } from '../core/clock.ts';
import { inline, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Attributes, Span, TraceHeaders, Tracer } from './trace.ts';

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what is left, for `limitMs` milliseconds at most, and ends. Never throws. */
  end(limitMs: number): Promise<void>;
}

const service = 'compute_ctl';

/** Sends spans by OTLP over HTTP. Where to, with which headers, sampling and batches come from the standard variables,
 *  which the packages read by themselves from the environment of the process.
 *  @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
export function startTracing(resource: Readonly<Record<string, string>>, log: Log): Tracing {
  followExport(log);
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ ...resource, 'service.name': service }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = tracerOf(provider.getTracer(service));
  return {
    tracer,
    end: async (limitMs) => {
      try {
        await withDeadline('sending the last spans', limitMs, never, () => provider.shutdown());
      } catch (error) {
        log.warn(inline(error));
      }
    },
  };
}

/** The first failure to send is worth a line; a collector that is gone would fill the log with the others. */
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

function contextOf(parent: Span | TraceHeaders | null): Context {
  if (parent instanceof OpenSpan) return trace.setSpan(ROOT_CONTEXT, parent.span);
  const remote = readHeaders((parent ?? {}) as TraceHeaders);
  return remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** Null for anything that the specification calls invalid. */
export function readHeaders({ traceparent = '', tracestate }: TraceHeaders) {
  const [text = '', version = '', traceId = '', spanId = '', flags = ''] =
    shape.exec(traceparent.trim()) ?? [];
  const valid = version !== 'ff' && /[^0]/.test(traceId) && /[^0]/.test(spanId);
  // Later versions may append something, the first may not.
  if (!valid || (version === '00' && text.length !== 55)) return null;
  const state = tracestate === undefined ? {} : { traceState: createTraceState(tracestate) };
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true, ...state };
}
