import { createHash } from 'node:crypto';
import type { DeltaOp } from '../spec/schema.ts';
import type { CatalogInput } from './input.ts';
import type { Observed, ObservedDatabase } from './observed.ts';

/** The delta operations that must still be applied, without those that were applied before, with the same operation id. A
 *  spec is applied again at every restart, and by then a name may be in use again. */
export function pendingOps(input: CatalogInput, { bookkeeping }: Observed): readonly DeltaOp[] {
  const digest = operationsDigest(input);
  if (digest !== null && digest === bookkeeping.operationsDone) return [];
  return (input.spec.delta_operations ?? []).filter((_, at) => !bookkeeping.operationsDoneAlone.has(at));
}

/** Identifies a spec's delta operations; null when there are none or the spec has no operation id. */
export function operationsDigest({ spec }: CatalogInput): string | null {
  if (spec.operation_uuid === null || (spec.delta_operations ?? []).length === 0) return null;
  const text = JSON.stringify([spec.operation_uuid, spec.delta_operations]);
  return createHash('sha256').update(text).digest('hex');
}

/** Roles that the delta operations delete. */
export const droppedRoles = (input: CatalogInput, observed: Observed): ReadonlySet<string> =>
  new Set(
    pendingOps(input, observed)
      .filter((op) => op.action === 'delete_role')
      .map((op) => op.name),
  );

/** A delta operation on a database, with the state of the names when it runs. */
export interface DatabaseStep {
  readonly op: DeltaOp;
  readonly existing: ObservedDatabase | null;
  /** Name of the database before the first of the operations. */
  readonly original: string;
  /** Name of a renamed database; null for a deletion. */
  readonly target: string | null;
  /** Its name after the last of the operations; that of a deleted one is its last name. */
  readonly final: string;
  /** The new name is in use. */
  readonly taken: boolean;
}

/** Simulates the deletions and renames of databases in order, without a server. */
export function walkDatabases(
  ops: readonly DeltaOp[],
  databases: ReadonlyMap<string, ObservedDatabase>,
): { steps: DatabaseStep[]; after: Map<string, ObservedDatabase>; originals: Map<string, string> } {
  const after = new Map(databases);
  const originals = new Map([...databases.keys()].map((name) => [name, name]));
  const steps: Omit<DatabaseStep, 'final'>[] = [];
  const finals = new Map<string, string>();
  for (const op of ops) {
    if (op.action !== 'delete_db' && op.action !== 'rename_db') continue;
    const existing = after.get(op.name) ?? null;
    const original = originals.get(op.name) ?? op.name;
    const target = op.action === 'rename_db' ? op.new_name : null;
    const taken = target !== null && after.has(target);
    steps.push({ op, existing, original, target, taken });
    if (existing === null || taken) continue;
    finals.set(original, target ?? op.name);
    after.delete(op.name);
    originals.delete(op.name);
    if (target === null) continue;
    after.set(target, existing);
    originals.set(target, original);
  }
  const final = ({ original, op }: Omit<DatabaseStep, 'final'>): string => finals.get(original) ?? op.name;
  return { steps: steps.map((step) => ({ ...step, final: final(step) })), after, originals };
}
