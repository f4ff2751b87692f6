import type { ProcessIdentity } from '../process/identity.ts';
import { isId } from './storage/made.ts';

/** What a compute below `branches` is. */
export interface Branch {
  /** Null: it was created empty. */
  readonly parent: Origin | null;
  /** ISO 8601 in UTC, as all times here. */
  readonly createdAt: string;
  /** When it is deleted; null: never by itself. */
  readonly expiresAt: string | null;
  /** The process that it is for: it is deleted when that has ended. */
  readonly owner?: ProcessIdentity;
}

export interface Origin {
  /** Its parent: names may change. */
  readonly timelineId: string;
  /** Where in the parent's history it begins. */
  readonly lsn: string;
  /** When that was taken. */
  readonly takenAt: string;
}

const isDate = (value: unknown): boolean => typeof value === 'string' && !Number.isNaN(Date.parse(value));

/** Whether that is what a local.json may have. */
export function isBranch(value: unknown): value is Branch {
  if (typeof value !== 'object' || value === null) return false;
  const { parent, createdAt, expiresAt } = value as Partial<Branch>;
  const { timelineId, lsn, takenAt } = parent ?? {};
  const isKnown =
    typeof timelineId === 'string' && isId(timelineId) && typeof lsn === 'string' && isDate(takenAt);
  return isDate(createdAt) && (expiresAt === null || isDate(expiresAt)) && (parent === null || isKnown);
}
