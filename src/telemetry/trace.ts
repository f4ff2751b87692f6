import { AsyncLocalStorage } from 'node:async_hooks';

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A piece of work in a trace, from when it was opened until `end`. */
export interface Span {
  set(attributes: Attributes): void;
  /** @param error what the work threw; left out: it succeeded */
  end(error?: unknown): void;
}

/** The W3C headers that name the span of a caller.
 *  @see https://www.w3.org/TR/trace-context/ */
export interface TraceHeaders {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

export interface Tracer {
  /** Opens a span below `parent`: one of ours, or that of a caller; null for the top of a trace. */
  open(
    name: string,
    kind: 'server' | 'internal',
    attributes: Attributes,
    parent: Span | TraceHeaders | null,
  ): Span;
}

const current = new AsyncLocalStorage<Span>();
let active: Tracer | null = null;

/** Makes a tracer that of the process; null switches tracing off, which is how a process begins. */
export function useTracer(tracer: Tracer | null): void {
  active = tracer;
}

/** Whether anybody looks at spans. */
export const isTracing = (): boolean => active !== null;

/** The span that the caller works for; null without one. */
export const currentSpan = (): Span | null => current.getStore() ?? null;

/** Opens a span for somebody who ends it; null while nothing is traced. */
export const openSpan = (
  name: string,
  kind: 'server' | 'internal',
  attributes: Attributes,
  parent: Span | TraceHeaders | null,
): Span | null => active?.open(name, kind, attributes, parent) ?? null;

/** Runs work as part of a span, so that spans opened by it lie below. */
export const within = <T>(span: Span | null, work: () => T): T =>
  span === null ? work() : current.run(span, work);

/** Runs work in a span of its own, below the current one unless another parent is given. Without a tracer it costs a
 *  comparison. */
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
