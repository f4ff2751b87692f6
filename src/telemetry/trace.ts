import { AsyncLocalStorage } from 'node:async_hooks';

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** Work in a trace, from its start until `end`. */
export interface Span {
  set(attributes: Attributes): void;
  /** @param error the work's error; absent: it succeeded */
  end(error?: unknown): void;
}

/** The W3C headers that name a caller's span.
 *  @see https://www.w3.org/TR/trace-context/ */
export interface TraceHeaders {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

export interface Tracer {
  /** Opens a span below `parent`: one of ours, or a caller's; null starts a new trace. */
  open(
    name: string,
    kind: 'server' | 'internal',
    attributes: Attributes,
    parent: Span | TraceHeaders | null,
  ): Span;
}

const current = new AsyncLocalStorage<Span>();
let active: Tracer | null = null;

/** Sets the process's tracer; null switches tracing off, which is the default. */
export function useTracer(tracer: Tracer | null): void {
  active = tracer;
}

/** Whether spans are recorded. */
export const isTracing = (): boolean => active !== null;

/** The current span; null without one. */
export const currentSpan = (): Span | null => current.getStore() ?? null;

/** Opens a span that the caller must end; null while tracing is off. */
export const openSpan = (
  name: string,
  kind: 'server' | 'internal',
  attributes: Attributes,
  parent: Span | TraceHeaders | null,
): Span | null => active?.open(name, kind, attributes, parent) ?? null;

/** Runs work inside a span: spans that it opens become children of this one. */
export const within = <T>(span: Span | null, work: () => T): T =>
  span === null ? work() : current.run(span, work);

/** Runs work in a new span, a child of the current one unless another parent is given. Without a tracer this costs only
 *  one comparison. */
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
