import type { Route } from '../route.ts';
import type { ComputeApi } from '../../lifecycle/api.ts';

/** A route of compute_ctl. */
export type ComputeRoute = Route<ComputeApi>;

/** Declares a route; types of query, body and reply come from the schemas. */
export const route = <R, Q = undefined, B = undefined>(
  definition: Route<ComputeApi, Q, B, R>,
): ComputeRoute => definition;
