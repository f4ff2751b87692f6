import { ComputeError } from '../core/errors.ts';
import type { CatalogInput } from './input.ts';
import type { Observed } from './observed.ts';
import type { Note, PlanItem, Skip, Unit } from './phase.ts';
import { phases } from './phases.ts';

export interface Plan {
  readonly units: readonly Unit[];
  readonly skips: readonly Skip[];
  readonly notes: readonly Note[];
}

/** Decides every statement from the spec and the server's state. No side effects.
 *  @throws ComputeError `catalog` with a line for each certain failure */
export function planCatalog(input: CatalogInput, observed: Observed): Plan {
  const items: PlanItem[] = [];
  let now = observed;
  for (const phase of phases) {
    items.push(...phase.plan(input, now));
    now = phase.foresee?.(input, now) ?? now;
  }
  const obstacles = items.filter((item) => item.kind === 'obstacle');
  if (obstacles.length > 0) {
    const lines = obstacles.map((one) => `catalog phase "${one.phase}", ${one.object}: ${one.reason}`);
    throw new ComputeError('catalog', lines.join('\n'));
  }
  return {
    units: items.filter((item) => item.kind === 'do'),
    skips: items.filter((item) => item.kind === 'skip'),
    notes: items.filter((item) => item.kind === 'note'),
  };
}
