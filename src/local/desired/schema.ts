import * as v from 'valibot';

// What a `compute.json` may hold. Editors get the same declaration as JSON Schema: docs/reference/compute.schema.json.

const described = <S extends v.GenericSchema>(schema: S, doc: string) =>
  v.pipe(schema, v.description<v.InferOutput<S>, string>(doc));

const text = (doc: string) => described(v.string(), doc);
const flag = (doc: string) => v.optional(described(v.boolean(), doc));
const list = <S extends v.GenericSchema>(item: S, doc: string) =>
  v.pipe(v.optional(v.array(item), []), v.description(doc));

const role = v.strictObject({
  name: text('Name of the role. Its password is generated: `compute-local url --role NAME` prints it.'),
  createdb: flag('CREATEDB: may create databases.'),
  createrole: flag('CREATEROLE: may create roles. Before PostgreSQL 16 that leads to the operating system.'),
  bypassrls: flag('BYPASSRLS: row security does not apply to it.'),
  replication: flag('REPLICATION: may stream the WAL.'),
  inherit: flag('INHERIT: has the rights of the roles that it is a member of.'),
  connection_limit: v.optional(
    described(
      v.pipe(v.number(), v.integer(), v.minValue(-1), v.maxValue(262_143)),
      'Most connections at a time; -1 for no limit.',
    ),
  ),
  valid_until: v.optional(
    text('Until when the password is valid, such as `2027-01-31` or `2027-01-31 12:00:00Z`; `infinity`.'),
  ),
});

const database = v.strictObject({
  name: text('Name of the database.'),
  owner: v.pipe(v.optional(v.string(), 'app'), v.description('Role that owns it; `app` when left out.')),
  encoding: v.optional(text('Encoding, such as `UTF8`. Only for a database that does not exist yet.')),
  locale: v.optional(text('Locale, such as `C.UTF-8`. Only for a database that does not exist yet.')),
  template: v.optional(
    text(
      'Database that it is copied from; another encoding or locale requires `template0`. Only for a database that does not exist yet.',
    ),
  ),
});

const extension = v.union([
  text('Name of the extension, such as `vector`: in every database of this file, and in `app`.'),
  v.strictObject({
    name: text('Name of the extension.'),
    version: v.optional(text('Version; the newest that is installed on this machine when left out.')),
    databases: v.optional(
      described(
        v.array(v.string()),
        'Databases that get it; every one of this file, and `app`, when left out.',
      ),
    ),
  }),
]);

/** The value of a setting, with its unit as text: `"64MB"`, `200`, `true`. */
const setting = v.union([v.string(), v.number(), v.boolean()]);

export const desiredSchema = v.strictObject({
  $schema: v.optional(text('The description of this file, for editors.')),
  roles: list(role, 'Roles that can log in. The role `app` is always there.'),
  databases: list(database, 'Databases. The database `app` is always there.'),
  extensions: list(extension, 'Extensions, which must be installed on this machine.'),
  settings: v.pipe(
    v.optional(v.record(v.string(), setting), {}),
    v.description(
      'Settings of PostgreSQL by name, with units as text: `"work_mem": "64MB"`. What is not here has its default.',
    ),
  ),
});

export type Desired = v.InferOutput<typeof desiredSchema>;
export type DesiredRole = Desired['roles'][number];
export type DesiredDatabase = Desired['databases'][number];
export type DesiredExtension = Desired['extensions'][number];
export type SettingValue = Desired['settings'][string];

/** As PostgreSQL reads it. */
export const settingText = (value: SettingValue): string =>
  typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
