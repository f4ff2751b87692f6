import { ComputeError } from '../core/errors.ts';
import type { CatalogInput } from './input.ts';
import type { Observed } from './observed.ts';
import { type Note, type PlanItem, type Skip, type Unit, meets, unitKey } from './phase.ts';
import type { Remainder } from './remainder.ts';
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
  const { again } = input;
  const units = items.filter((item) => item.kind === 'do');
  // The earlier pass has logged the rest.
  if (again !== null)
    return { units: units.filter((unit) => isLeft(unit, units, again)), skips: [], notes: [] };
  return {
    units,
    skips: items.filter((item) => item.kind === 'skip'),
    notes: items.filter((item) => item.kind === 'note'),
  };
}

/** Also whatever refers by now to a role that has not been dropped yet. */
const isLeft = (unit: Unit, units: readonly Unit[], { units: left }: Remainder): boolean =>
  left.has(unitKey(unit)) ||
  units.some((one) => one.phase === 'drop-roles' && left.has(unitKey(one)) && one.requires.some(meets(unit)));
