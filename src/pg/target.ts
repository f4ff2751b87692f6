import type { Secret } from '../core/secret.ts';

/** How a connection is encrypted, in the terms of libpq.
 *  @see https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export interface PgTls {
  /** `require`: any certificate; `verify-ca`: one from a trusted issuer; `verify-full`: one that also names the server. */
  readonly mode: 'require' | 'verify-ca' | 'verify-full';
  /** The name that the certificate must contain; may differ from the address of the connection. */
  readonly serverName: string;
  /** A PEM file of trusted issuers; null: those that Node trusts, `NODE_EXTRA_CA_CERTS` included. */
  readonly rootCert: string | null;
}

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
