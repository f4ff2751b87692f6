import { type Startup, isPhysical } from './first-packet.ts';
import { type Roster, isUnknown } from './roster.ts';

/** What Postgres says before it closes a connection. */
export interface Refusal {
  readonly sqlstate: string;
  readonly text: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** Since when PostgreSQL speaks protocol 3.2. */
export const newProtocolSince = 18;
/** Since when it names the attribute. */
const replicationWordsSince = 16;

const refusal = (sqlstate: string, text: string, more: Omit<Refusal, 'sqlstate' | 'text'> = {}): Refusal => ({
  sqlstate,
  text,
  ...more,
});

/** Which version of the protocol nobody speaks. */
export const versionRefusal = ({ major, minor }: Startup, roster: Roster): Refusal | null =>
  major === 3
    ? null
    : refusal(
        '0A000',
        `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.${roster.major < newProtocolSince ? 0 : 2}`,
      );

/** What is refused without a look at the password. */
export function refusalBefore(startup: Startup): Refusal | null {
  const { role, parameters } = startup;
  const replication = parameters.get('replication') ?? 'false';
  if (!/^(database|t(r(ue?)?)?|f(a(l(se?)?)?)?|y(es?)?|no?|on|off?|[01])$/i.test(replication))
    return refusal('22023', `invalid value for parameter "replication": "${replication}"`, {
      hint: 'Valid values are: "false", 0, "true", 1, "database".',
    });
  if (role === '') return refusal('28000', 'no PostgreSQL user name specified in startup packet');
  if (isPhysical(startup))
    return refusal(
      '28000',
      `no pg_hba.conf entry for replication connection from host "[local]", user "${role}", no encryption`,
    );
  return null;
}

export const wrongPassword = (role: string): Refusal =>
  refusal('28P01', `password authentication failed for user "${role}"`);

/** What is refused after the right password, in the order of Postgres. Null: it would be let in, or only Postgres knows. */
export function refusalAfter({ role: name, database, parameters }: Startup, roster: Roster): Refusal | null {
  const role = roster.roles.get(name);
  if (role === undefined) return null;
  if (!role.canLogin) return refusal('28000', `role "${name}" is not permitted to log in`);
  if (role.isClosed && !role.isSuperuser) return refusal('53300', `too many connections for role "${name}"`);
  if (parameters.get('replication') === 'database' && !role.canReplicate && !role.isSuperuser)
    return roster.major < replicationWordsSince
      ? refusal('42501', 'must be superuser or replication role to start walsender')
      : refusal('42501', 'permission denied to start WAL sender', {
          detail: 'Only roles with the REPLICATION attribute may start a WAL sender process.',
        });
  if (isUnknown(database, roster.databases)) return refusal('3D000', `database "${database}" does not exist`);
  const found = roster.databases.get(database);
  if (found === undefined || found.isInvalid) return null;
  if (!found.allows) return refusal('55000', `database "${database}" is not currently accepting connections`);
  if (role.isSuperuser) return null;
  if (found.grantees?.has(name) === false)
    return refusal('42501', `permission denied for database "${database}"`, {
      detail: 'User does not have CONNECT privilege.',
    });
  return found.isClosed ? refusal('53300', `too many connections for database "${database}"`) : null;
}
