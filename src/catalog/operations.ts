import { createHash } from 'node:crypto';
import type { DeltaOp } from '../spec/schema.ts';
import type { CatalogInput } from './input.ts';
import type { Observed } from './observed.ts';

/** The delta operations that are still to be carried out: none when these very ones, under the same operation,
 *  went through before. A spec is applied again at every restart, and by then the name may be in use again. */
export function pendingOps(input: CatalogInput, observed: Observed): readonly DeltaOp[] {
  const digest = operationsDigest(input);
  if (digest !== null && digest === observed.bookkeeping.operationsDone) return [];
  return input.spec.delta_operations ?? [];
}

/** Identifies the delta operations of a spec; null when there are none or the spec does not say whose they are. */
export function operationsDigest({ spec }: CatalogInput): string | null {
  if (spec.operation_uuid === null || (spec.delta_operations ?? []).length === 0) return null;
  const text = JSON.stringify([spec.operation_uuid, spec.delta_operations]);
  return createHash('sha256').update(text).digest('hex');
}

/** Roles that will be gone at the end. */
export const doomedRoles = (input: CatalogInput, observed: Observed): ReadonlySet<string> =>
  new Set(
    pendingOps(input, observed)
      .filter((op) => op.action === 'delete_role')
      .map((op) => op.name),
  );
