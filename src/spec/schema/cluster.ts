import * as v from 'valibot';
import { notes, optional, required, secret } from './kit.ts';

export const GenericOption = v.object({
  name: required(v.string(), 'Name of the setting or option.'),
  value: optional(v.string(), 'Its value as text.'),
  vartype: required(
    v.string(),
    '`string` values are quoted when written; values of other types are written unchanged.',
  ),
});

export const Role = v.object({
  name: required(v.string(), 'Name of the role.'),
  encrypted_password: optional(
    secret(),
    'A SCRAM verifier (`SCRAM-SHA-256$…`), used unchanged; anything else is the hex part of an md5 password. ' +
      'Null, empty or a placeholder such as `SCRAM-SHA-256$0:$:`: the role has no usable password.',
  ),
  options: optional(v.array(GenericOption), 'Options of `CREATE ROLE`.'),
});

export const Database = v.pipe(
  v.object({
    name: required(v.string(), 'Name of the database.'),
    owner: required(v.string(), 'Role that owns it.'),
    options: optional(v.array(GenericOption), 'Options of `CREATE DATABASE`.'),
  }),
  notes({ ignored: ['restrict_conn', 'invalid'] }),
);

export const Cluster = v.object({
  cluster_id: optional(v.string(), 'Id of the project, for logs.'),
  name: optional(v.string(), "The project's name, for logs."),
  state: optional(v.string(), 'Not used.'),
  roles: required(v.array(Role), 'Roles to create.'),
  databases: required(v.array(Database), 'Databases to create.'),
  postgresql_conf: optional(secret(), 'Beginning of `postgresql.conf`, verbatim.'),
  settings: optional(
    v.array(GenericOption),
    'Settings of `postgresql.conf`, in order. Also searched for `neon.tenant_id`, `neon.timeline_id`, ' +
      '`neon.pageserver_connstring`, `neon.stripe_size`, `neon.safekeepers`, `neon.endpoint_storage_addr` and ' +
      '`neon.endpoint_storage_token` when the spec does not have the corresponding field.',
  ),
});

export const DeltaOp = v.object({
  action: required(
    v.string(),
    '`delete_db`, `rename_db`, `delete_role` or `rename_role`; others have no effect.',
  ),
  name: required(v.string(), 'Object it applies to.'),
  new_name: optional(v.string(), 'New name, for the renaming actions.'),
});
