/** Libraries that must be in `shared_preload_libraries`, by extension: without them the extension cannot be created or used. */
const preloads: Readonly<Record<string, string>> = {
  citus: 'citus',
  credcheck: 'credcheck',
  pg_cron: 'pg_cron',
  pg_qualstats: 'pg_qualstats',
  pg_squeeze: 'pg_squeeze',
  pg_stat_kcache: 'pg_stat_kcache',
  pg_stat_statements: 'pg_stat_statements',
  pg_wait_sampling: 'pg_wait_sampling',
  pgaudit: 'pgaudit',
  pglogical: 'pglogical',
  pgsodium: 'pgsodium',
  set_user: 'set_user',
  timescaledb: 'timescaledb',
};

export const preloadOf = (extension: string): string | null =>
  Object.hasOwn(preloads, extension) ? (preloads[extension] ?? null) : null;

/** Extensions that can be in one database only, and the setting that names it. */
const singles: Readonly<Record<string, string>> = { pg_cron: 'cron.database_name' };

export const databaseSettingOf = (extension: string): string | null =>
  Object.hasOwn(singles, extension) ? (singles[extension] ?? null) : null;

/** Without them an extension does not work here; the file may say otherwise. Jobs of pg_cron would log in over TCP, without a password. */
export const settingsFor = (extension: string, database: string): Readonly<Record<string, string>> =>
  extension === 'pg_cron' ? { 'cron.database_name': database, 'cron.use_background_workers': 'on' } : {};

/** What Debian calls an extension after `postgresql-MAJOR-`, where it is not the extension's own name with hyphens.
 *  @see https://packages.debian.org/source/stable/pgvector for one of them */
const debianNames: Readonly<Record<string, string>> = {
  pg_cron: 'cron',
  pg_partman: 'partman',
  pg_repack: 'repack',
  pg_squeeze: 'squeeze',
  pg_similarity: 'similarity',
  pointcloud_postgis: 'pointcloud',
  postgis: 'postgis-3',
  postgis_raster: 'postgis-3',
  postgis_sfcgal: 'postgis-3',
  postgis_topology: 'postgis-3',
  postgis_tiger_geocoder: 'postgis-3',
  vector: 'pgvector',
};

/** In packages of their own, with another order of the words. */
const languages: Readonly<Record<string, string>> = {
  plperl: 'plperl',
  plperlu: 'plperl',
  plpython3u: 'plpython3',
  pltcl: 'pltcl',
  pltclu: 'pltcl',
};

/** Part of PostgreSQL itself; Debian has them in the package of the server. */
const contrib = new Set(
  (
    'adminpack amcheck autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance file_fdw ' +
    'fuzzystrmatch hstore insert_username intagg intarray isn lo ltree moddatetime old_snapshot pageinspect pg_buffercache ' +
    'pg_freespacemap pg_prewarm pg_stat_statements pg_surgery pg_trgm pg_visibility pg_walinspect pgcrypto pgrowlocks ' +
    'pgstattuple plpgsql postgres_fdw refint seg sslinfo tablefunc tcn tsm_system_rows tsm_system_time unaccent uuid-ossp xml2'
  ).split(' '),
);

/** How an extension is probably installed; not every package is in every release of Debian. */
export const installHint = (extension: string, major: number): string =>
  `for Debian's PostgreSQL: apt-get install ${debianPackage(extension, major)} (where Debian has none, apt.postgresql.org may)`;

/** The Debian package that an extension is probably in. */
export function debianPackage(extension: string, major: number): string {
  if (contrib.has(extension)) return `postgresql-${major}`;
  if (Object.hasOwn(languages, extension)) return `postgresql-${languages[extension]}-${major}`;
  const name = Object.hasOwn(debianNames, extension) ? debianNames[extension] : undefined;
  return `postgresql-${major}-${name ?? extension.replaceAll('_', '-')}`;
}
