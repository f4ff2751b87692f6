import type { Sql } from '../core/sql.ts';
import type { CatalogInput } from './input.ts';
import type { Observed } from './observed.ts';

/** How a unit's statements are sent to the server.
 *  - `batch`: in the system database, in one transaction with its neighbours
 *  - `hash`: as `batch`, but over several connections, since each is slow (milliseconds for a SCRAM verifier)
 *  - `bare`: in the system database, outside any transaction, one after the other
 *  - `create`: as `bare`, over several connections
 *  - `session`: in `database`, in its own transaction; databases in parallel
 *  - `session-in-turn`: as `session`, one after the other, because they change shared objects */
export type Mode = 'batch' | 'hash' | 'bare' | 'create' | 'session' | 'session-in-turn';

/** The statements that make one object match the spec. */
export interface Unit {
  readonly kind: 'do';
  readonly phase: string;
  readonly mode: Mode;
  /** Where they run; null is the system database. */
  readonly database: string | null;
  /** For people: `role "alice"`. */
  readonly object: string;
  /** For people: `create`. */
  readonly action: string;
  readonly statements: readonly Sql[];
  /** The database that this is about, by its name after the pass. Null, or the system database: a failure ends the pass.
   *  Otherwise only the rest of what is about the same database is left out. */
  readonly concerns: string | null;
  /** Earlier units without which this one is left out. */
  readonly requires: readonly Requirement[];
  /** For `bare` and `create`: the database that nobody else may use meanwhile. */
  readonly alone?: DatabaseUse;
}

/** What a statement does to a database as a whole. Postgres refuses it while others use the database. */
export interface DatabaseUse {
  readonly database: string;
  readonly purpose: 'copy' | 'rename' | 'delete';
}

/** All units of this phase and object were carried out. */
export interface Requirement {
  readonly phase: string;
  readonly object: string;
}

/** Whether a unit is of those that are required. */
export const meets =
  ({ phase, object }: Unit) =>
  (required: Requirement): boolean =>
    required.phase === phase && required.object === object;

/** Identifies a unit from one pass to the next. */
export const unitKey = ({ phase, database, object }: Pick<Unit, 'phase' | 'database' | 'object'>): string =>
  JSON.stringify([phase, database, object]);

/** A request of the spec that is not applied. */
export interface Skip {
  readonly kind: 'skip';
  readonly phase: string;
  readonly object: string;
  readonly reason: string;
  /** Log it as a warning. */
  readonly warn: boolean;
}

/** Information about a decision, for the log. */
export interface Note {
  readonly kind: 'note';
  readonly phase: string;
  readonly object: string;
  readonly text: string;
}

/** A failure that is known before the first statement. */
export interface Obstacle {
  readonly kind: 'obstacle';
  readonly phase: string;
  readonly object: string;
  readonly reason: string;
}

export type PlanItem = Unit | Skip | Note | Obstacle;

export interface Phase {
  readonly name: string;
  /** Pure: the work of this phase, given the server's state after the earlier phases. */
  plan(input: CatalogInput, observed: Observed): readonly PlanItem[];
  /** The server's state after this phase, as far as later phases read it. */
  foresee?(input: CatalogInput, observed: Observed): Observed;
}
