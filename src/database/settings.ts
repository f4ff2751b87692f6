import type { PgTarget } from '../pg/target.ts';
import type { RunAs } from '../process/os-user.ts';
import type { PostgresBin } from '../postgres/postgres-bin.ts';

/** The compute's own Postgres, as seen by what runs SQL or a program against it. */
export interface OwnPostgres {
  readonly pgdata: string;
  readonly bin: PostgresBin;
  readonly runAs: RunAs;
  /** How compute_ctl reaches its own Postgres. */
  readonly target: PgTarget;
  /** The environment of Postgres and its helpers: ours, without the credentials that are none of its business. */
  readonly env: NodeJS.ProcessEnv;
}
