import { explained } from '../core/errors.ts';
import { sqlState } from '../pg/client.ts';

export const downReasons = [
  'connect_refused',
  'connect_timeout',
  'query_timeout',
  'sqlstate',
  'postgres_exited',
  'other',
] as const;
export type DownReason = (typeof downReasons)[number];

/** Why a check found Postgres down. */
export interface Failure {
  readonly reason: DownReason;
  /** Set exactly when `reason` is `sqlstate`. */
  readonly sqlstate: string | null;
  /** The error and its causes on one line, without secrets. */
  readonly message: string;
}

export const postgresExited: Failure = {
  reason: 'postgres_exited',
  sqlstate: null,
  message: 'Postgres has exited',
};

/** A failed check: its phase, and whether its limit had passed. */
export interface FailedPhase {
  readonly phase: 'connect' | 'query';
  readonly error: unknown;
  readonly timedOut: boolean;
}

/** Postgres does not listen there: a missing socket file counts like a closed port. */
const refusedCodes: readonly unknown[] = ['ECONNREFUSED', 'ENOENT'];

export function classify({ phase, error, timedOut }: FailedPhase): Failure {
  const message = explained(error);
  const sqlstate = sqlState(error);
  if (sqlstate !== null) return { reason: 'sqlstate', sqlstate, message };
  if (timedOut) return { reason: `${phase}_timeout`, sqlstate, message };
  if (phase === 'connect' && systemCodes(error).some((code) => refusedCodes.includes(code))) {
    return { reason: 'connect_refused', sqlstate, message };
  }
  return { reason: 'other', sqlstate, message };
}

function systemCodes(error: unknown): unknown[] {
  const codes: unknown[] = [];
  for (let current = error; current instanceof Error; current = current.cause) {
    codes.push((current as NodeJS.ErrnoException).code);
  }
  return codes;
}
