import type { ComputeSpec } from '../spec/schema.ts';
import type { Service } from './service.ts';

/** A part of the spec that is accepted and has no effect yet; the log says so. */
const unbuilt = (name: string, isAsked: (spec: ComputeSpec) => boolean): Service<true> => ({
  name,
  when: 'beside-postgres',
  wants: ({ spec }) => (isAsked(spec) ? true : null),
});

export const pgbouncer = unbuilt('pgbouncer', (spec) => spec.pgbouncer_settings !== null);
export const localProxy = unbuilt('local-proxy', (spec) => spec.local_proxy_config !== null);
