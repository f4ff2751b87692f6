import * as v from 'valibot';
import { optional, required } from './kit.ts';

const ExtensionData = v.object({
  control_data: required(v.record(v.string(), v.string()), 'Text of each `.control` file, by file name.'),
  archive_path: required(v.string(), "The archive's path below the base URL."),
});

export const RemoteExtensions = v.object({
  public_extensions: optional(v.array(v.string()), 'Extensions available to every project.'),
  custom_extensions: optional(v.array(v.string()), 'Extensions available only to this project.'),
  library_index: required(v.record(v.string(), v.string()), "Each library's extension."),
  extension_data: required(v.record(v.string(), ExtensionData), 'Files of each extension.'),
});

const LocalProxyJwks = v.object({
  id: required(v.string(), 'Id of the entry.'),
  role_names: required(v.array(v.string()), "Roles that this entry's tokens may log in as."),
  jwks_url: required(v.string(), "The keys' URL."),
  provider_name: required(v.string(), 'Name of the provider.'),
  jwt_audience: optional(v.string(), "Audience that this entry's tokens must have."),
});

export const LocalProxyConfig = v.object({
  jwks: optional(v.array(LocalProxyJwks), "Key sets that verify users' tokens."),
  tls: optional(
    v.object({
      key_path: required(v.string(), 'PEM file of the key.'),
      cert_path: required(v.string(), 'PEM file of the certificate chain.'),
    }),
    "Replaced by compute_ctl's TLS settings.",
  ),
});

export const DatabricksSettings = v.object({
  pg_compute_tls_settings: required(
    v.object({
      cert_file: required(v.string(), 'Certificate file.'),
      key_file: required(v.string(), 'Key file.'),
      ca_file: required(v.string(), 'CA certificate file.'),
    }),
    'TLS files of Postgres.',
  ),
  databricks_pg_hba: required(v.string(), 'File with lines for `pg_hba.conf`.'),
  databricks_pg_ident: required(v.string(), 'File with lines for `pg_ident.conf`.'),
  databricks_workspace_host: required(v.string(), 'Host of the workspace.'),
});
