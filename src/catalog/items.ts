import type { Sql } from '../core/sql.ts';
import type { Mode, Note, Obstacle, Skip, Unit } from './phase.ts';

export const roleObject = (name: string): string => `role ${JSON.stringify(name)}`;
export const databaseObject = (name: string): string => `database ${JSON.stringify(name)}`;

/** The default of `concerns` is the database that the statements run in. */
type UnitOptions = Partial<Pick<Unit, 'concerns' | 'requires' | 'alone'>>;

/** Creates the items of a phase's plan, with the phase's name set. */
export const itemsOf = (phase: string) => ({
  unit: (
    mode: Mode,
    action: string,
    object: string,
    statements: readonly Sql[],
    database: string | null = null,
    { concerns = database, requires = [], ...rest }: UnitOptions = {},
  ): Unit => ({ kind: 'do', phase, mode, database, object, action, statements, concerns, requires, ...rest }),
  skip: (object: string, reason: string, warn = false): Skip => ({
    kind: 'skip',
    phase,
    object,
    reason,
    warn,
  }),
  note: (object: string, text: string): Note => ({ kind: 'note', phase, object, text }),
  obstacle: (object: string, reason: string): Obstacle => ({ kind: 'obstacle', phase, object, reason }),
});
