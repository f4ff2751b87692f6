/** The `pg_hba.conf` of every compute. The superuser can log in only through the socket, whose directory only the OS user
 *  of Postgres can enter; all others require a password, also over TCP from this machine. */
export const hba = `# Made by compute-local. The socket directory is closed to other users of this machine.
local all         cloud_admin              trust
local replication cloud_admin              trust
host  all         cloud_admin all          reject
host  replication all         all          reject
local all         all                      scram-sha-256
host  all         all         127.0.0.1/32 scram-sha-256
host  all         all         ::1/128      scram-sha-256
`;

/** File in a data directory with the number of the base backup it was created from: see fence.ts. */
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
  'compute_ctl.marker',
]);

/** True for files of a running compute that do not belong to the timeline: written at every start, or logs. */
export const belongsToCompute = (path: string): boolean =>
  replaced.has(path) ||
  /^postmaster\.|^compute_ctl\.lock(\/|$)|^(core(\.|$))|^(pg_)?log(\/|$)|\.sock(et)?$|\.(tmp|new)$/.test(
    path,
  ) ||
  path.startsWith('.');

/** The files that a start requires besides the base backup and the WAL.
 *  @param generation null for a copy that the storage must never receive WAL from */
export function ownFiles(generation: number | null): { name: string; content: string }[] {
  const files = [
    { name: 'pg_hba.conf', content: hba },
    { name: 'pg_ident.conf', content: '' },
    { name: 'postgresql.auto.conf', content: '' },
  ];
  return generation === null ? files : [...files, { name: generationFile, content: `${generation}\n` }];
}
