import { ComputeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';

/** Whether two specs are equal in every member, secrets included. */
export const sameSpec = (one: ResolvedSpec, other: ResolvedSpec): boolean => text(one) === text(other);

function text({ spec }: ResolvedSpec): string {
  return JSON.stringify(spec, function (this: Record<string, unknown>, key, value: unknown) {
    const given = this[key];
    return given instanceof Secret ? given.reveal() : value;
  });
}

/** A running compute keeps its tenant, timeline and mode. @throws ComputeError `spec_invalid` */
export function mustBeSameCompute(current: ResolvedSpec | null, next: ResolvedSpec): void {
  mustBeSameTimeline(current, next);
  if (current?.mode.kind !== next.mode.kind) throw cannotChange('mode');
}

/** @throws ComputeError `spec_invalid` */
export function mustBeSameTimeline(current: ResolvedSpec | null, next: ResolvedSpec): void {
  const differs = (['tenantId', 'timelineId'] as const).find((key) => current?.[key] !== next[key]);
  if (differs !== undefined) throw cannotChange(differs.replace('Id', ' id'));
}

const cannotChange = (what: string): ComputeError =>
  new ComputeError('spec_invalid', `a running compute's ${what} cannot change`);

/** Whether two specs have the same pageservers and the same token for them. */
export function samePageservers(one: ResolvedSpec, other: ResolvedSpec): boolean {
  const of = ({ pageserver, spec }: ResolvedSpec): string =>
    JSON.stringify([pageserver, [...pageserver.shards], spec.storage_auth_token?.reveal() ?? null]);
  return of(one) === of(other);
}
