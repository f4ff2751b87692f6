import { ComputeError, explained, hintOf, inline, messageOf } from '../core/errors.ts';
import { sqlState } from '../pg/client.ts';
import { isKnown } from './crash.ts';
import type { Skip, Unit } from './phase.ts';
import type { Remainder } from './remainder.ts';

/** The result for one object. */
export interface Outcome {
  readonly phase: string;
  /** Where the statements ran; null is the system database. */
  readonly database: string | null;
  readonly object: string;
  readonly action: string;
  /** `not reached` also means a transaction that was rolled back or ended because of another failure. */
  readonly result: 'done' | 'skipped' | 'failed' | 'not reached';
  /** Why it was skipped or failed. */
  readonly reason: string | null;
  readonly sqlState: string | null;
}

export interface CatalogResult {
  /** Objects in the order of the plan; those that needed nothing are not listed. */
  readonly outcomes: readonly Outcome[];
  /** Statements sent, except those that only read. */
  readonly statements: number;
  readonly durationMs: number;
}

/** Why a database is not as the spec asks. */
export interface DatabaseFault {
  /** Where, what and why, on one line. */
  readonly reason: string;
  readonly sqlState: string | null;
  readonly hint: string | null;
  /** It is not tried again before the next start. */
  readonly final: boolean;
}

export const faultOf = (error: ComputeError): DatabaseFault => ({
  reason: inline(error),
  sqlState: sqlState(error),
  hint: hintOf(error),
  final: isKnown(error),
});

/** A pass that ended early, or left databases out, with its result so far. */
export class CatalogFailure extends ComputeError {
  readonly result: CatalogResult;
  /** The databases that failed, by their names in the spec. */
  readonly databases: ReadonlyMap<string, DatabaseFault>;
  /** What is left to be done. When only databases failed, everything else is done. */
  readonly remainder: Remainder;
  readonly onlyDatabases: boolean;

  constructor(
    failures: readonly ComputeError[],
    parts: Pick<CatalogFailure, 'result' | 'databases' | 'remainder' | 'onlyDatabases'>,
  ) {
    const { message, cause, hint } = together(failures);
    super('catalog', message, { cause, ...(hint === undefined ? {} : { hint }) });
    this.name = 'CatalogFailure';
    this.result = parts.result;
    this.databases = parts.databases;
    this.remainder = parts.remainder;
    this.onlyDatabases = parts.onlyDatabases;
  }
}

const hints: Readonly<Record<string, string>> = {
  '55006':
    'End the sessions, prepared transactions or logical replication slots that use it, then apply again.',
  '55P03': 'Another session holds a lock on it; find it in pg_locks. End it, then apply again.',
  '57014':
    'The statement took longer than its limit; check for locks, and whether the storage acknowledges commits.',
  '2BP01':
    'Objects in another database still depend on it; apply again, or drop them by hand. A database that accepts no connections must accept them first: ALTER DATABASE … ALLOW_CONNECTIONS true.',
};

/** The server's own limits are shorter than that of our client, but do not hold for a commit. */
const noAnswer =
  'The server did not answer. A commit waits until the storage, or a standby of synchronous_standby_names, acknowledges it: check those.';

/** What to do about a failed statement or log-in. */
function hintFor(state: string | null, cause: unknown): { hint?: string } {
  const other = cause instanceof ComputeError ? cause.hint : state === null ? noAnswer : undefined;
  const hint = hints[state ?? ''] ?? other;
  return hint === undefined ? {} : { hint };
}

/** One unit's failure: names phase, database, object and SQLSTATE, and what of the same object was left alone. */
export class UnitFailure extends ComputeError {
  readonly unit: Unit;
  readonly why: { readonly reason: string; readonly sqlState: string | null };

  constructor(unit: Unit, cause: unknown, systemDatabase: string, skips: readonly Skip[]) {
    const state = sqlState(cause);
    const where = `catalog phase "${unit.phase}", database ${JSON.stringify(unit.database ?? systemDatabase)}, ${unit.object}`;
    const how = state === null ? 'failed' : `failed with SQLSTATE ${state}`;
    const left = skips.filter(({ object, warn }) => warn && object === unit.object);
    const before = left.length === 0 ? '' : ` (${left.map(({ reason }) => reason).join('; ')})`;
    super('catalog', `${where}: ${unit.action} ${how}${before}`, {
      cause: cause instanceof Error ? cause : new Error(messageOf(cause)),
      ...hintFor(state, cause),
    });
    this.unit = unit;
    this.why = { reason: inline(cause), sqlState: state };
  }
}

/** A failed query of a database's catalogs. */
export function readFailure(phase: string, database: string, cause: unknown): ComputeError {
  const state = sqlState(cause);
  const how = state === null ? 'failed' : `failed with SQLSTATE ${state}`;
  return new ComputeError(
    'catalog',
    `catalog phase "${phase}", database ${JSON.stringify(database)}: ${how}`,
    {
      cause,
      ...hintFor(state, cause),
    },
  );
}

/** Combines several failures into one error that lists them all. */
export function together(failures: readonly ComputeError[]): ComputeError {
  const [first, ...others] = failures;
  if (first === undefined) return new ComputeError('catalog', 'the catalog pass failed');
  if (others.length === 0) return first;
  const message = [first.message, ...others.map((one) => `also ${explained(one)}`)].join('; ');
  return new ComputeError('catalog', message, {
    cause: first.cause,
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  });
}
