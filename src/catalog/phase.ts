import type { Sql } from '../core/sql.ts';
import type { CatalogInput } from './input.ts';
import type { Observed } from './observed.ts';

/** How the statements of a unit reach the server.
 *  - `batch`: in the system database, in one transaction with its neighbours
 *  - `hash`: as `batch`, but the server works on each (a SCRAM verifier costs milliseconds): over several connections
 *  - `bare`: in the system database, outside any transaction, one after the other
 *  - `create`: as `bare`, over several connections
 *  - `session`: in `database`, in a transaction of its own; databases in parallel
 *  - `session-in-turn`: as `session`, one after the other, because shared objects are touched */
export type Mode = 'batch' | 'hash' | 'bare' | 'create' | 'session' | 'session-in-turn';

/** The statements that bring one object to what the spec asks for. */
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
}

/** Something the spec asks for that is left alone. */
export interface Skip {
  readonly kind: 'skip';
  readonly phase: string;
  readonly object: string;
  readonly reason: string;
  /** Somebody should know. */
  readonly warn: boolean;
}

/** Something that people should know about what is done, or deliberately not done. */
export interface Note {
  readonly kind: 'note';
  readonly phase: string;
  readonly object: string;
  readonly text: string;
}

/** Something that would fail, known before the first statement. */
export interface Obstacle {
  readonly kind: 'obstacle';
  readonly phase: string;
  readonly object: string;
  readonly reason: string;
}

export type PlanItem = Unit | Skip | Note | Obstacle;

export interface Phase {
  readonly name: string;
  /** Pure: what there is to do, given what the server holds when the phases before are through. */
  plan(input: CatalogInput, observed: Observed): readonly PlanItem[];
  /** What the server will hold after this phase, as far as later phases look at it. */
  foresee?(input: CatalogInput, observed: Observed): Observed;
}
