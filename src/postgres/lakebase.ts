import { basename, join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import { readSmallByLink } from '../process/regular-file.ts';
import type { ComputeSpec, DatabricksSettings } from '../spec/schema.ts';
import { quoteConf } from './conf-syntax.ts';
import { ensureLine } from './ensure-line.ts';

/** What lakebase mode adds to a Postgres. */
export interface Lakebase {
  /** Of the connection string: it wins over any setting. */
  readonly port: number;
  /** Which endpoint Postgres takes internal tokens for. */
  readonly endpointId: string;
}

/** The last lines of `postgresql.conf` before the override. @throws ComputeError `spec_invalid` */
export function lakebaseLines({ databricks_settings: given }: ComputeSpec, { port }: Lakebase): string[] {
  const settings = given === null ? [] : linesOf(given);
  return [`port = ${port}`, '# Databricks settings start', ...settings, '# Databricks settings end'];
}

function linesOf(given: DatabricksSettings): string[] {
  const field = 'spec.databricks_settings';
  const { ca_file } = given.pg_compute_tls_settings;
  return [
    `ssl_ca_file = ${quoteConf(ca_file, `${field}.pg_compute_tls_settings.ca_file`)}`,
    `databricks.workspace_url = ${quoteConf(given.databricks_workspace_host, `${field}.databricks_workspace_host`)}`,
    'databricks.enable_databricks_identity_login = true',
    'databricks.enable_sql_restrictions = true',
  ];
}

/** Variables for the postmaster. */
export const lakebaseEnv = (
  { databricks_settings: given }: ComputeSpec,
  { endpointId }: Lakebase,
): Record<string, string> => ({
  DATABRICKS_ENDPOINT_ID: endpointId,
  DATABRICKS_WORKSPACE_HOST: given?.databricks_workspace_host ?? '',
});

/** PostgreSQL before 16 takes such a line for a mistake. */
const includesSince = 16;

/** @throws ComputeError `spec_invalid` for settings that this PostgreSQL could not start with */
export function assertLakebase({ databricks_settings: given }: ComputeSpec, major: number): void {
  if (given === null) return;
  for (const name of ['databricks_pg_hba', 'databricks_pg_ident'] as const) {
    const path = given[name];
    const fault =
      major < includesSince
        ? `PostgreSQL ${major} cannot include files in pg_hba.conf and pg_ident.conf: ${includesSince} is needed`
        : /["\r\n\0]/.test(path) || path === ''
          ? 'it must be a path without quotation marks and line breaks'
          : null;
    if (fault !== null) throw new ComputeError('spec_invalid', `spec.databricks_settings.${name}: ${fault}`);
  }
}

/** Puts what the settings name into a data directory: copies of key and certificate under their own names, unless there are some,
 *  and the includes of the files for log-ins, ahead of our own line.
 *  @throws ComputeError `tls` when the key or the certificate cannot be read */
export async function addLakebaseFiles(given: DatabricksSettings, pgdata: string): Promise<void> {
  const { key_file, cert_file } = given.pg_compute_tls_settings;
  for (const path of [key_file, cert_file]) copyMissing(path, pgdata);
  for (const [file, path] of [
    ['pg_hba.conf', given.databricks_pg_hba],
    ['pg_ident.conf', given.databricks_pg_ident],
  ] as const)
    await ensureLine(join(pgdata, file), `include_if_exists "${path}"`, { mode: 0o600 });
}

function copyMissing(path: string, pgdata: string): void {
  try {
    writeFileSync(join(pgdata, basename(path)), readSmallByLink(path), { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    throw new ComputeError('tls', `cannot copy ${path} to the data directory`, { cause });
  }
}
