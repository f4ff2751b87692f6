import type { PgTarget } from '../pg/target.ts';
import type { PostgresBin } from '../postgres/postgres-bin.ts';

/** This compute's Postgres, for code that runs SQL or a program against it. */
export interface OwnPostgres {
  readonly pgdata: string;
  readonly bin: PostgresBin;
  /** How compute_ctl reaches its own Postgres. */
  readonly target: PgTarget;
  /** The environment for Postgres and its helpers: ours, without credentials that they must not have. */
  readonly env: NodeJS.ProcessEnv;
}
