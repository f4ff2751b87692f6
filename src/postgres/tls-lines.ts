/** Switches TLS on. */
export const tlsLines: readonly string[] = [
  'ssl = on',
  "ssl_cert_file = 'server.crt'",
  "ssl_key_file = 'server.key'",
];

/** Has the same lines, once there is a usable pair that was not there when `postgresql.conf` was written: with `ssl = on` and no
 *  pair, Postgres does not start. */
export const lateTlsFile = 'compute_ctl_tls.conf';

/** @param hasPair whether key and certificate are in PGDATA */
export const tlsSection = (hasPair: boolean): readonly string[] =>
  hasPair ? tlsLines : [`include_if_exists = '${lateTlsFile}'`];
