import type { ComputeError } from '../core/errors.ts';
import { type Unit, meets, unitKey } from './phase.ts';
import type { Remainder } from './remainder.ts';
import type { Plan } from './plan.ts';
import { type CatalogResult, type DatabaseFault, type Outcome, UnitFailure, faultOf } from './result.ts';

/** How far a pass has come. A failure in one database leaves out what depends on it, and everything else goes on. */
export class Progress {
  readonly #plan: Plan;
  readonly #systemDatabase: string;
  readonly #done = new Set<Unit>();
  readonly #failures = new Map<Unit, UnitFailure>();
  readonly #leftOut = new Set<Unit>();
  readonly #databases: Map<string, ComputeError>;
  #ended = false;

  /** @param unreadable the databases that could not be inspected, and why */
  constructor(plan: Plan, systemDatabase: string, unreadable: ReadonlyMap<string, ComputeError>) {
    this.#plan = plan;
    this.#systemDatabase = systemDatabase;
    this.#databases = new Map(unreadable);
  }

  /** Every failure, in the order in which they happened. */
  get failures(): readonly ComputeError[] {
    const failed = [...this.#failures.values()];
    const unreadable = [...this.#databases.values()].filter((error) => !(error instanceof UnitFailure));
    return [...unreadable, ...failed];
  }

  /** The first failure of each database. */
  get errors(): ReadonlyMap<string, ComputeError> {
    return this.#databases;
  }

  get databases(): ReadonlyMap<string, DatabaseFault> {
    return new Map([...this.#databases].map(([name, error]) => [name, faultOf(error)]));
  }

  /** What is left to be done, once the pass is over. */
  get remainder(): Remainder {
    const left = this.#plan.units.filter((unit) => !this.#done.has(unit));
    return { databases: new Set(this.#databases.keys()), units: new Set(left.map(unitKey)) };
  }

  /** Whether nothing has failed that the unit depends on. If something has, it counts as left out. */
  possible(unit: Unit): boolean {
    const about = this.#about(unit);
    const lacks = [...this.#failures.keys(), ...this.#leftOut].some((one) => unit.requires.some(meets(one)));
    if (!lacks && (about === null || !this.#databases.has(about))) return true;
    this.#leftOut.add(unit);
    return false;
  }

  done(unit: Unit): void {
    this.#done.add(unit);
  }

  /** Something failed that is not about one database. */
  get ended(): boolean {
    return this.#ended;
  }

  isDone(unit: Unit): boolean {
    return this.#done.has(unit);
  }

  /** @param endsPass whatever it is about */
  failed(unit: Unit, cause: unknown, endsPass: boolean): UnitFailure {
    const failure = new UnitFailure(unit, cause, this.#systemDatabase, this.#plan.skips);
    this.#failures.set(unit, failure);
    const about = this.#about(unit);
    if (endsPass || about === null) this.#ended = true;
    else if (!this.#databases.has(about)) this.#databases.set(about, failure);
    return failure;
  }

  /** Whether the pass goes on after this error. */
  goesOn(error: unknown): boolean {
    return error instanceof UnitFailure && !this.#ended;
  }

  result(durationMs: number): CatalogResult {
    const statements = [...this.#done].reduce((sum, unit) => sum + unit.statements.length, 0);
    return { outcomes: this.#outcomes(), statements, durationMs };
  }

  #about({ concerns }: Unit): string | null {
    return concerns === this.#systemDatabase ? null : concerns;
  }

  #outcomes(): Outcome[] {
    const skipped = this.#plan.skips.map(({ phase, object, reason }): Outcome => {
      return { phase, database: null, object, action: '', result: 'skipped', reason, sqlState: null };
    });
    const ran = this.#plan.units.map((unit): Outcome => {
      const { phase, database, object, action } = unit;
      const failure = this.#failures.get(unit);
      if (failure === undefined) {
        const result = this.#done.has(unit) ? 'done' : 'not reached';
        return { phase, database, object, action, result, reason: null, sqlState: null };
      }
      return { phase, database, object, action, result: 'failed', ...failure.why };
    });
    return [...skipped, ...ran];
  }
}
