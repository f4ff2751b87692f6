interface Allowed {
  /** A name, or the beginning of names when it ends in `*`. */
  readonly name: string;
  readonly doc: string;
}

/** The variables that the programs we start inherit from us. Everything else stays here: tokens, passwords and the settings of
 *  compute_ctl itself, and libpq's variables (`PG*`). A superuser, or code that runs as the user of Postgres, can read the
 *  environment of Postgres. */
export const inherited: readonly Allowed[] = [
  { name: 'PATH', doc: 'Where programs are found, also by `archive_command` and the like.' },
  { name: 'HOME', doc: 'The home directory; libraries look for files there.' },
  { name: 'USER', doc: 'The user name.' },
  { name: 'LOGNAME', doc: 'The user name, as POSIX calls it.' },
  { name: 'SHELL', doc: 'The shell.' },
  { name: 'TERM', doc: 'The kind of terminal, for `psql`.' },
  { name: 'TMPDIR', doc: 'Where temporary files go.' },
  { name: 'LANG', doc: 'The locale.' },
  { name: 'LANGUAGE', doc: 'The languages of messages.' },
  { name: 'LC_*', doc: 'The parts of the locale.' },
  { name: 'TZ', doc: 'The time zone.' },
  { name: 'TZDIR', doc: 'Directory of the time zones.' },
  {
    name: 'LD_LIBRARY_PATH',
    doc: 'Where shared libraries are found, when Postgres is not in its usual place.',
  },
  { name: 'LD_PRELOAD', doc: 'Another memory allocator.' },
  { name: 'MALLOC_*', doc: 'Settings of the memory allocators: glibc, jemalloc.' },
  { name: 'GLIBC_TUNABLES', doc: 'Settings of glibc.' },
  { name: 'SSL_CERT_FILE', doc: 'The certificates that OpenSSL trusts.' },
  { name: 'SSL_CERT_DIR', doc: 'The directory of the certificates that OpenSSL trusts.' },
  { name: 'OPENSSL_CONF', doc: "OpenSSL's configuration file." },
  { name: 'ICU_DATA', doc: 'Data of ICU, for its collations.' },
  { name: 'PROJ_LIB', doc: 'Data of PostGIS: projections.' },
  { name: 'PROJ_DATA', doc: 'The same, by its newer name.' },
  { name: 'GDAL_DATA', doc: 'Data of PostGIS: formats.' },
  { name: 'POSTGIS_GDAL_ENABLED_DRIVERS', doc: 'The formats that PostGIS may read.' },
  { name: 'POSTGIS_ENABLE_OUTDB_RASTERS', doc: 'Whether PostGIS may read files.' },
  {
    name: 'PG_OOM_ADJUST_FILE',
    doc: 'Where the postmaster says how willingly the kernel may end its children.',
  },
  { name: 'PG_OOM_ADJUST_VALUE', doc: 'The value for it.' },
  { name: 'AUTOSCALING', doc: 'Whether this is an autoscaled VM.' },
];

/** What of the environment has one of the names; a name that ends in `*` is the beginning of names. */
export const only = (env: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(env).filter(([name]) =>
      names.some((allowed) =>
        allowed.endsWith('*') ? name.startsWith(allowed.slice(0, -1)) : name === allowed,
      ),
    ),
  );

/** What a program that we start gets of our environment. */
export const environmentForPrograms = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  only(
    env,
    inherited.map(({ name }) => name),
  );
