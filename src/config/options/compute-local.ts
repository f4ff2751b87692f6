import { branchCommands, history } from './branches.ts';
import type { OptionEntry, ProgramEntry } from './entry.ts';
import { admin, role, specCommands } from './compute-local-spec.ts';
import { dashboardDoc, dashboardPort } from './dashboard.ts';
import { mainOptions } from './main.ts';
import { manualCommands } from './manual.ts';
import { sleepOptions } from './sleep.ts';

const dir = {
  flag: '--dir',
  kind: 'path',
  value: 'DIR',
  env: 'COMPUTE_LOCAL_DIR',
  fallback: null,
  fallbackDoc: '/var/lib/compute-local for root, ~/.compute-local for others',
  group: 'options',
  doc: 'Directory for all data and logs.',
} as const satisfies OptionEntry;

/** Of what `up` starts. */
const requiredDir = {
  flag: '--dir',
  kind: 'path',
  value: 'DIR',
  fallback: null,
  required: true,
  group: 'options',
  doc: 'Directory for all data and logs. Required.',
} as const satisfies OptionEntry;

const json = {
  flag: '--json',
  kind: 'flag',
  fallback: false,
  group: 'options',
  doc: 'Print JSON: one object, or one object per line for events.',
} as const satisfies OptionEntry;

const forPostgres = {
  pgBinDir: {
    flag: '--pg-bin-dir',
    kind: 'path',
    value: 'DIR',
    env: 'COMPUTE_LOCAL_PG_BIN_DIR',
    fallback: null,
    group: 'options',
    doc: 'Directory of the PostgreSQL programs. Without it, PATH and /usr/lib/postgresql are searched.',
  },
  osUser: {
    ...mainOptions.osUser,
    group: 'options',
    doc: 'Operating system user that compute-local becomes when it is started by root and creates its directory. Later it becomes the owner of the directory.',
  },
} as const satisfies Record<string, OptionEntry>;

const compactAt = {
  flag: '--compact-at',
  kind: 'size',
  value: 'SIZE',
  env: 'COMPUTE_LOCAL_COMPACT_AT',
  fallback: 256 * 1024 * 1024,
  fallbackDoc: '256MB',
  group: 'options',
  doc: 'Take a new base backup when the WAL since the last one exceeds this size.',
} as const satisfies OptionEntry;

const freeLimits = {
  warnFree: {
    flag: '--warn-free',
    kind: 'size',
    value: 'SIZE',
    env: 'COMPUTE_LOCAL_WARN_FREE',
    fallback: null,
    fallbackDoc: '10 % of the disk, at most 1GB',
    group: 'options',
    doc: 'Warn when less than this is free on the disk of the storage.',
  },
  stopFree: {
    flag: '--stop-free',
    kind: 'size',
    value: 'SIZE',
    env: 'COMPUTE_LOCAL_STOP_FREE',
    fallback: null,
    fallbackDoc: '5 % of the disk, at most 256MB',
    group: 'options',
    doc: 'Stop writes when less than this is free there: transactions are read-only, unless they ask for more. They are allowed again when a quarter more than this is free.',
  },
} as const satisfies Record<string, OptionEntry>;

const nodeName = { flag: '--name', kind: 'nodeName', value: 'NAME', group: 'options' } as const;

const ofCompute = {
  ...nodeName,
  fallback: null,
  fallbackDoc: 'the primary, also after a promotion',
  doc: 'Name of a compute, as `status` shows it: main, or that of a replica or static node.',
} as const;

const port = {
  kind: 'listenPort',
  value: 'PORT',
  fallback: null,
  fallbackDoc: 'the last one used, or a free one',
  group: 'options',
} as const;

const runs = {
  port: { ...port, flag: '--port', doc: 'TCP port of Postgres.' },
  httpPort: { ...port, flag: '--http-port', doc: 'Port of the HTTP API.' },
  newPorts: {
    flag: '--new-ports',
    kind: 'flag',
    fallback: false,
    group: 'options',
    doc: 'Choose other ports when these are in use.',
  },
  listenAll: {
    flag: '--listen-all',
    kind: 'flag',
    fallback: false,
    group: 'options',
    doc: 'Let Postgres and the HTTP API listen on all addresses of this machine; without it, on the loopback only.',
  },
  ...sleepOptions,
  compactAt,
  ...freeLimits,
} as const satisfies Record<string, OptionEntry>;

const up = {
  ...{ dir, ...forPostgres, json, ...runs },
  ...history,
  dashboardPort,
  replica: {
    flag: '--replica',
    kind: 'flag',
    fallback: false,
    group: 'options',
    doc: 'Run a read-only replica of the running compute.',
  },
  atLsn: {
    flag: '--at-lsn',
    // Read with the storage at hand, so that a wrong one is answered with the range that exists.
    kind: 'text',
    value: 'LSN',
    fallback: null,
    group: 'options',
    conflicts: ['replica'],
    doc: 'Run a static node: a read-only view of the data at an LSN. `status` shows the range that can be shown.',
  },
  name: {
    ...nodeName,
    fallback: null,
    fallbackDoc: 'replica or static',
    doc: 'Name of the replica or static node; not main, which is the compute that `up` starts by itself.',
  },
} as const satisfies Record<string, OptionEntry>;

export const computeLocal = {
  name: 'compute-local',
  doc: 'Runs compute_ctl with a stock PostgreSQL on one machine, with a built-in storage that keeps every commit.',
  main: null,
  commands: {
    up: { doc: 'Start everything and keep it running until Ctrl-C.', options: up },
    status: {
      doc: 'Show what runs, where, and what is wrong. Exits with 0 when all is well, 3 when it is not running, or not yet, 4 when something is wrong: docs/reference/status.md. Without a name: main with its nodes.',
      args: '[name]',
      options: { dir, json },
    },
    watch: {
      doc: 'Show the status again each second, until Ctrl-C: in place on a terminal; with --json, one object per line.',
      args: '[name]',
      options: { dir, json },
    },
    stop: {
      doc: 'Stop one compute; without a name, everything in the directory: main, its nodes and all branches.',
      args: '[name]',
      options: { dir, json },
    },
    ...branchCommands({ dir, json, forPostgres, runs }),
    promote: {
      doc: 'Make a replica the primary; the former primary becomes a replica.',
      options: { dir, json, name: { ...nodeName, fallback: 'replica', doc: 'Name of the replica.' } },
    },
    reset: {
      doc: 'Delete the database with all its data and all branches, but nothing that compute-local did not create. With the name of a branch: give it the present data of its parent; its URL stays.',
      args: '[name]',
      options: {
        dir,
        ...forPostgres,
        json,
        yes: {
          flag: '--yes',
          kind: 'flag',
          fallback: false,
          group: 'options',
          doc: 'Do not ask for confirmation.',
        },
      },
    },
    dashboard: { doc: dashboardDoc, args: '[name]', options: { dir, json } },
    ...specCommands({ dir, json, ...forPostgres }),
    url: {
      doc: 'Print the connection URL, with its password.',
      args: '[name]',
      options: { dir, json, name: ofCompute, role },
    },
    token: {
      doc: 'Print a bearer token for the HTTP API, valid for one hour.',
      args: '[name]',
      options: { dir, json, name: ofCompute },
    },
    psql: {
      doc: 'Open psql. First the name of a compute may be given, also as NAME@LSN or NAME@TIME: then its data at that point, read-only. Options and arguments of psql are passed to it; after --, all of them.',
      options: { dir, ...forPostgres, name: ofCompute, role, admin },
      args: '[args...]',
      passesOptions: true,
    },
    ...manualCommands,
    next: {
      doc: 'Makes the data directory of the next start, for `up`.',
      options: {
        dir: requiredDir,
        ...forPostgres,
        prepareAtMost: sleepOptions.prepareAtMost,
        onlyAdvance: {
          flag: '--only-advance',
          kind: 'flag',
          fallback: false,
          group: 'options',
          doc: 'Only if the template of an earlier run can be used.',
        },
        ...freeLimits,
      },
      hidden: true,
    },
    storage: {
      doc: 'The storage daemon, which `up` starts.',
      options: {
        dir: requiredDir,
        ...forPostgres,
        compactAt,
        ...freeLimits,
      },
      hidden: true,
    },
  },
} as const satisfies ProgramEntry;
