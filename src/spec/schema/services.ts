import * as v from 'valibot';
import { optional, required } from './kit.ts';

const ExtensionData = v.object({
  control_data: required(v.record(v.string(), v.string()), 'Text of each `.control` file, by file name.'),
  archive_path: required(v.string(), 'Path of the archive below the base URL.'),
});

export const RemoteExtensions = v.object({
  public_extensions: optional(v.array(v.string()), 'Extensions open to every project.'),
  custom_extensions: optional(v.array(v.string()), 'Extensions of this project alone.'),
  library_index: required(v.record(v.string(), v.string()), 'Extension that brings each library.'),
  extension_data: required(v.record(v.string(), ExtensionData), 'Files of each extension.'),
});

const LocalProxyJwks = v.object({
  id: required(v.string(), 'Id of the entry.'),
  role_names: required(v.array(v.string()), 'Roles that its tokens may log in as.'),
  jwks_url: required(v.string(), 'Where the keys are.'),
  provider_name: required(v.string(), 'Name of the provider.'),
  jwt_audience: optional(v.string(), 'Audience that its tokens must carry.'),
});

export const LocalProxyConfig = v.object({
  jwks: optional(v.array(LocalProxyJwks), 'Key sets for tokens of users.'),
  tls: optional(
    v.object({
      key_path: required(v.string(), 'PEM file of the key.'),
      cert_path: required(v.string(), 'PEM file of the certificate chain.'),
    }),
    'Replaced by the TLS setting of compute_ctl.',
  ),
});

export const DatabricksSettings = v.object({
  pg_compute_tls_settings: required(
    v.object({
      cert_file: required(v.string(), 'Certificate file.'),
      key_file: required(v.string(), 'Key file.'),
      ca_file: required(v.string(), 'Authority file.'),
    }),
    'TLS files of Postgres.',
  ),
  databricks_pg_hba: required(v.string(), 'File with lines for `pg_hba.conf`.'),
  databricks_pg_ident: required(v.string(), 'File with lines for `pg_ident.conf`.'),
  databricks_workspace_host: required(v.string(), 'Host of the workspace.'),
});
