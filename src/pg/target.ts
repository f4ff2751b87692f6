import type { Secret } from '../core/secret.ts';
import type { PgTls } from './tls.ts';

/** A Postgres server's address and the login for it. A host that starts with `/` is a socket directory. */
export interface PgTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret | null;
  readonly database: string;
  /** Text of the start-up parameter `options`; empty for none. */
  readonly options: string;
  /** Left out: not encrypted. */
  readonly tls?: PgTls;
  /** The major version, where it is known: on this compute's own Postgres. */
  readonly major?: number;
}

/** `postgresql://user@host:port/database`, for messages: never with the password. */
export const describeTarget = (target: PgTarget): string =>
  `postgresql://${target.user}@${target.host}:${target.port}/${target.database}`;
