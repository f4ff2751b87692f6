/** The `pg_hba.conf` of every compute. The superuser gets in through the socket only, whose directory nobody but the
 *  OS user of Postgres may enter; everybody else needs a password, also over TCP from this machine. */
export const hba = `# Made by compute-local. The socket directory is closed to other users of this machine.
local all         cloud_admin              trust
local replication cloud_admin              trust
host  all         cloud_admin all          reject
host  replication all         all          reject
local all         all                      scram-sha-256
host  all         all         127.0.0.1/32 scram-sha-256
host  all         all         ::1/128      scram-sha-256
`;

/** Tells in a data directory which answer to a base backup it was made from: see fence.ts. */
export const generationFile = 'compute_local.generation';

const replaced = new Set([
  'postgresql.conf',
  'postgresql.auto.conf',
  'pg_hba.conf',
  'pg_ident.conf',
  'compute_ctl_temp_override.conf',
  'standby.signal',
  'recovery.signal',
  'server.key',
  'server.crt',
  generationFile,
]);

/** True for the parts of a running compute that are no part of the timeline: written anew at every start, or logs. */
export const belongsToCompute = (path: string): boolean =>
  replaced.has(path) ||
  /^postmaster\.|^(core(\.|$))|^(pg_)?log(\/|$)|\.sock(et)?$|\.(tmp|new)$/.test(path) ||
  path.startsWith('.');

/** What a start needs besides the base and the WAL.
 *  @param generation null for a copy that must never be attached */
export function ownFiles(generation: number | null): { name: string; content: string }[] {
  const files = [
    { name: 'pg_hba.conf', content: hba },
    { name: 'pg_ident.conf', content: '' },
    { name: 'postgresql.auto.conf', content: '' },
  ];
  return generation === null ? files : [...files, { name: generationFile, content: `${generation}\n` }];
}
