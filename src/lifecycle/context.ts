import type { Log } from '../core/log.ts';
import type { Lsn } from '../core/lsn.ts';
import { ComputeError } from '../core/errors.ts';
import type { PgdataLock } from '../postgres/lock.ts';
import type { PreparedPgdata } from '../postgres/prepare.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { OpenPageserver } from '../storage/basebackup.ts';
import type { ServiceRunner } from '../services/runner.ts';
import type { Settings } from '../services/settings.ts';
import type { ComputeState } from './state.ts';

/** What the steps of a start hand on to each other. */
export interface StartContext {
  readonly settings: Settings;
  readonly state: ComputeState;
  readonly spec: ResolvedSpec;
  readonly log: Log;
  readonly services: ServiceRunner;
  lock: PgdataLock | null;
  pgdata: PreparedPgdata | null;
  /** Resolves when `postgresql.conf` is in place. */
  configWritten: Promise<void>;
  pageserver: OpenPageserver | null;
  lsn: Lsn;
}

/** What an earlier step must have left; its absence is a defect of the steps. */
export function required<T>(what: string, value: T | null): T {
  if (value === null) throw new ComputeError('internal', `${what} is not there yet`);
  return value;
}

export const pathOf = (context: StartContext): string => required('the data directory', context.pgdata).path;
