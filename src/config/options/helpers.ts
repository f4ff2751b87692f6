import type { OptionEntry } from './entry.ts';

/** The programs beside Postgres that something else starts. */
export const helperOptions = {
  pgbouncerIni: {
    flag: '--pgbouncer-ini',
    kind: 'path',
    value: 'FILE',
    fallback: null,
    fallbackDoc: '/var/db/postgres/pgbouncer/pgbouncer.ini; with AUTOSCALING /etc/pgbouncer.ini',
    group: 'machine',
    doc: "File that gets the spec's `pgbouncer_settings`, in its section [pgbouncer].",
  },
  pgbouncerHost: {
    flag: '--pgbouncer-host',
    kind: 'text',
    value: 'HOST|DIR',
    fallback: null,
    fallbackDoc: 'localhost; with AUTOSCALING /tmp',
    group: 'machine',
    doc: "Where pgbouncer's admin console is: a host, or the directory of its socket. The user is postgres; with AUTOSCALING pgbouncer.",
  },
  pgbouncerPort: {
    flag: '--pgbouncer-port',
    kind: 'port',
    value: 'PORT',
    fallback: 6432,
    group: 'machine',
    doc: "Port of pgbouncer's admin console.",
  },
  pgbouncerPidFile: {
    flag: '--pgbouncer-pid-file',
    kind: 'path',
    value: 'FILE',
    fallback: '/tmp/pgbouncer.pid',
    group: 'machine',
    doc: 'File with the process number of the pgbouncer that stops with the compute.',
  },
  localProxyConfig: {
    flag: '--local-proxy-config',
    kind: 'path',
    value: 'FILE',
    fallback: '/etc/local_proxy/config.json',
    group: 'machine',
    doc: "File that gets the spec's `local_proxy_config`.",
  },
  localProxyPidFile: {
    flag: '--local-proxy-pid-file',
    kind: 'path',
    value: 'FILE',
    fallback: '/etc/local_proxy/pid',
    group: 'machine',
    doc: 'File that local_proxy locks and has its process number in.',
  },
} as const satisfies Record<string, OptionEntry>;
