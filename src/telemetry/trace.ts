import { AsyncLocalStorage } from 'node:async_hooks';

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A unit of work in a trace, from its opening to `end`. */
export interface Span {
  set(attributes: Attributes): void;
  /** @param error what the work threw; left out: it succeeded */
  end(error?: unknown): void;
}

/** The W3C headers that name a caller's span.
 *  @see https://www.w3.org/TR/trace-context/ */
export interface TraceHeaders {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

export interface Tracer {
  /** Opens a span below `parent`: our own span or a caller's; null: a new trace. */
  open(
    name: string,
    kind: 'server' | 'internal',
    attributes: Attributes,
    parent: Span | TraceHeaders | null,
  ): Span;
}

const current = new AsyncLocalStorage<Span>();
let active: Tracer | null = null;

/** Sets the process's tracer; null, as at the start of the process, turns tracing off. */
export function useTracer(tracer: Tracer | null): void {
  active = tracer;
}

/** Whether tracing is on. */
export const isTracing = (): boolean => active !== null;

/** The span of the current work; null without one. */
export const currentSpan = (): Span | null => current.getStore() ?? null;

/** Opens a span; the caller must end it. Null while tracing is off. */
export const openSpan = (
  name: string,
  kind: 'server' | 'internal',
  attributes: Attributes,
  parent: Span | TraceHeaders | null,
): Span | null => active?.open(name, kind, attributes, parent) ?? null;

/** Runs work as part of a span: the spans that it opens become children of this span. */
export const within = <T>(span: Span | null, work: () => T): T =>
  span === null ? work() : current.run(span, work);

/** Runs work in a new span, below the current one or below `parent`. Without a tracer it only runs the work. */
export async function traced<T>(
  name: string,
  attributes: Attributes,
  work: () => Promise<T> | T,
  parent: Span | TraceHeaders | null = currentSpan(),
): Promise<T> {
  if (active === null) return work();
  const span = active.open(name, 'internal', attributes, parent);
  try {
    const result = await current.run(span, work);
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}
