import type { Log } from '../core/log.ts';
import type { Lsn } from '../core/lsn.ts';
import { ComputeError } from '../core/errors.ts';
import type { PgdataLock } from '../postgres/lock.ts';
import type { PreparedPgdata } from '../postgres/prepare.ts';
import type { Watcher } from '../postgres/watcher.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { OpenPageserver } from '../storage/basebackup.ts';
import type { ServiceRunner } from '../services/runner.ts';
import type { Settings } from '../services/settings.ts';
import type { ComputeState } from './state.ts';

/** The values that the steps of a start pass to each other. */
export interface StartContext {
  readonly settings: Settings;
  readonly state: ComputeState;
  readonly spec: ResolvedSpec;
  readonly log: Log;
  readonly services: ServiceRunner;
  lock: PgdataLock | null;
  /** Ends Postgres when this process is killed. */
  watcher: Watcher | null;
  pgdata: PreparedPgdata | null;
  /** Resolves when `postgresql.conf` is in place. */
  configWritten: Promise<void>;
  pageserver: OpenPageserver | null;
  lsn: Lsn;
}

/** A value that an earlier step must have set; if it is missing, the list of steps is wrong. */
export function required<T>(what: string, value: T | null): T {
  if (value === null) throw new ComputeError('internal', `no earlier step has set ${what}`);
  return value;
}

export const pathOf = (context: StartContext): string => required('the data directory', context.pgdata).path;
