import type { ComputeApi } from '../../lifecycle/api.ts';
import type { Metrics } from '../../metrics/registry.ts';
import type { Answer } from '../answer.ts';
import type { Route, RouteInput } from '../route.ts';

/** Passed from compute_ctl's servers to their routes. */
export interface Served {
  readonly compute: ComputeApi;
  readonly metrics: Metrics;
}

/** A route of compute_ctl. */
export type ComputeRoute = Route<Served>;

interface Definition<Q, B, R> extends Omit<Route<never, Q, B, R>, 'handler'> {
  handler(
    this: void,
    input: RouteInput<Q, B>,
    compute: ComputeApi,
    metrics: Metrics,
  ): R | Answer | Promise<R | Answer>;
}

/** Declares a route; types of query, body and reply come from the schemas. */
export const route = <R, Q = undefined, B = undefined>({
  handler,
  ...definition
}: Definition<Q, B, R>): ComputeRoute => {
  const whole: Route<Served, Q, B, R> = {
    ...definition,
    handler: (input, { compute, metrics }) => handler(input, compute, metrics),
  };
  return whole;
};
