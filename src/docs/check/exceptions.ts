export interface Exceptions {
  readonly why: string;
  readonly names: readonly string[];
}

/** Names that the pages use although nothing in this repository has them. One that no page needs any more is reported. */
export const exceptions: readonly Exceptions[] = [
  {
    why: 'programs of others, whose options are not checked',
    names: [
      'bash',
      'cgexec',
      'docker',
      'gpg',
      'man',
      'node',
      'openssl',
      'pg_ctl',
      'pg_isready',
      'runuser',
      'sha256sum',
      'ss',
      'strip',
    ],
  },
  { why: "options of PostgreSQL's programs", names: ['--sync-safekeepers', '--synchronous'] },
  {
    why: 'names of PostgreSQL, which users give it and we do not',
    names: [
      ...['EUC_JP', 'logging_collector', 'pg_maintain'],
      ...['PREPARE', 'client_addr', 'currval', 'inet_client_addr', 'lastval', 'pg_filenode_relation'],
    ],
  },
  {
    why: 'names of the C library, and packages with it',
    names: ['malloc_trim', 'MALLOC_MMAP_THRESHOLD_', 'libatomic', 'libc6-arm64-cross'],
  },
  {
    why: 'names of those who call compute_ctl: their variables, settings, programs and files',
    names: [
      ...['neon_distrib_dir', 'NEON_BINARIES_DIR', 'terminationGracePeriodSeconds', 'su-exec'],
      ...[
        'compute1',
        'compute.log',
        'DIR/pg_data',
        'compute-TIMELINE',
        '/.neon/data',
        '/.neon/data/pgdata',
        '--remote-ext-config',
      ],
    ],
  },
  { why: 'the variable of a client', names: ['DATABASE_URL'] },
  { why: 'a name of Kubernetes', names: ['fsGroup'] },
  { why: 'names inside Node', names: ['signal_wrap'] },
  {
    why: 'files for whatever somebody adds',
    names: [
      'http/routes/x.ts',
      'services/x.ts',
      'catalog/phases/x.ts',
      'test/pg/catalog/phases/x.test.ts',
      'NNNN-x.sql',
      'NNNN-x.check.sql',
      'database/x.ts',
    ],
  },
  { why: 'settings of TypeScript', names: ['moduleResolution', 'nodenext'] },
  { why: 'files of a user', names: ['~/.bashrc', '~/.zshrc'] },
  { why: 'made at a release', names: ['SHA256SUMS', 'v0.2.0'] },
  {
    why: 'a permission of a CI job, and a field of package.json that is missing',
    names: ['id-token', 'homepage'],
  },
  { why: 'said not to exist', names: ['Storage'] },
  { why: 'put together when the program runs', names: ['storage.log', 'log/storage.log'] },
  { why: 'a status as a label of a metric, where it has dashes', names: ['refresh-configuration-pending'] },
];
