import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import type { TlsFiles } from '../../src/postgres/tls.ts';
import { type FileServer, startFileServer } from './file-server.ts';
import {
  type FakeLocalProxy,
  type Pgbouncer,
  fakeLocalProxy,
  pgbouncerFor,
  pgbouncerPath,
} from './helpers.ts';
import { addNeonExtension } from './neon-extension.ts';
import { onPath } from './on-path.ts';
import { takeOut } from './own-installation.ts';
import { type Audited, withPgaudit } from './pgaudit.ts';
import { defaultPostgres, osUser } from './postgres-versions.ts';
import {
  type Collector,
  type SupervisedRsyslog,
  realRsyslogd,
  startCollector,
  startRsyslog,
} from './rsyslog.ts';
import { scratchDir } from './scratch.ts';
import { makePemPair, writePair } from './tls-pairs.ts';

// What every service of compute_ctl needs, all of it at once, and the parts of a spec that want them.

/** A PostgreSQL with pgaudit, the stand-in for Neon's extension, and hstore only at a gateway; null where it cannot be had, or one
 *  of the programs. */
export interface Equipped extends Audited {
  readonly archive: Buffer;
  /** The field of the spec that offers hstore. */
  readonly remote_extensions: object;
}

export async function equippedPostgres(): Promise<Equipped | null> {
  if (pgbouncerPath === undefined || !onPath('python3') || realRsyslogd() === null) return null;
  const own = withPgaudit(defaultPostgres());
  if (own === null) return null;
  addNeonExtension(own);
  const { archive, control } = await takeOut(own, 'hstore');
  const remote_extensions = {
    public_extensions: ['hstore'],
    custom_extensions: null,
    library_index: { hstore: 'hstore' },
    extension_data: { hstore: { control_data: { 'hstore.control': control }, archive_path: '' } },
  };
  return { ...own, archive, remote_extensions };
}

/** Where compute_ctl finds everything. */
export interface Places {
  readonly tls: TlsFiles;
  readonly endpointStorage: string;
  readonly collector: string;
  readonly remote_extensions: object;
}

/** The part of a spec by which each service is wanted, by the service's name. */
export const wishes: Readonly<Record<string, (at: Places) => object>> = {
  pgbouncer: () => ({ pgbouncer_settings: { default_pool_size: '7', max_client_conn: '70' } }),
  'local-proxy': () => ({ local_proxy_config: { jwks } }),
  'remote-extensions': ({ remote_extensions }) => ({ remote_extensions }),
  'logs-export': ({ collector }) => ({ logs_export_host: collector }),
  'audit-log': () => ({ audit_log_level: 'Extended' }),
  autoprewarm: () => ({ autoprewarm: true }),
  'lfc-offload': () => ({ offload_lfc_interval_seconds: 1 }),
  tls: () => ({ features: ['tls_experimental'] }),
};

const jwks = [
  { id: 'a', role_names: ['web'], jwks_url: 'https://k', provider_name: 'p', jwt_audience: null },
];

/** The changes to a spec by which these services are wanted. */
export const wanting = (names: Iterable<string>, at: Places): object => ({
  endpoint_id: 'ep-7',
  project_id: 'prj-7',
  endpoint_storage_addr: at.endpointStorage,
  endpoint_storage_token: 'token-of-storage',
  ...Object.assign({}, ...[...names].map((name) => wishes[name]!(at))),
});

/** Settings of Postgres for all of them: loading the library of the file cache counts only at a start. The files of the audit log are
 *  made by Postgres itself, in place of pgauditlogtofile. */
export const settingsForAll = Object.entries({
  shared_preload_libraries: 'neon',
  logging_collector: 'on',
  log_directory: 'log',
  log_filename: 'audit-%Y%m%d_%H%M.log',
}).map(([name, value]) => ({ name, value, vartype: 'string' }));

/** Everything beside compute_ctl, running and in order. */
export interface Surroundings extends Places {
  readonly home: string;
  /** Nobody else uses it. */
  readonly tmp: string;
  readonly pooler: Pgbouncer;
  readonly proxy: FakeLocalProxy;
  readonly proxyConfig: string;
  readonly rsyslog: SupervisedRsyslog;
  readonly logs: Collector;
  readonly gateway: FileServer;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** @param port of the Postgres behind pgbouncer */
export async function surroundings(given: Equipped, port: number): Promise<Surroundings> {
  const home = scratchDir('all');
  const at = (name: string): string => join(home, name);
  for (const name of ['tmp', 'certs', 'pooler', 'proxy']) {
    mkdirSync(at(name));
    if (osUser !== null) chownSync(at(name), osUser.uid, osUser.gid);
  }
  const tls = writePair(at('certs'), makePemPair('db'));
  const pooler = await pgbouncerFor(at('pooler'), port, 'admin_users = postgres, pgbouncer', osUser?.uid);
  await pooler.start();
  const paths = { pidFile: at('proxy/pid'), config: at('proxy/config.json') };
  const proxy = await fakeLocalProxy(paths, { uid: osUser?.uid });
  const rsyslog = startRsyslog(realRsyslogd()!);
  const logs = await startCollector('127.0.0.1');
  const gateway = await startFileServer(given.archive);
  const storage = await startEndpointStorage();
  const { settings } = rsyslog;
  return {
    ...{ home, tls, pooler, proxy, rsyslog, logs, gateway, tmp: at('tmp'), proxyConfig: paths.config },
    endpointStorage: storage.address,
    collector: `127.0.0.1:${logs.port}`,
    remote_extensions: given.remote_extensions,
    args: [
      ...['--pgbouncer-ini', pooler.ini, '--pgbouncer-port', String(pooler.port)],
      ...['--pgbouncer-host', '127.0.0.1', '--pgbouncer-pid-file', pooler.pidFile],
      ...['--local-proxy-config', paths.config, '--local-proxy-pid-file', paths.pidFile],
      ...['--rsyslogd', settings.program, '--rsyslog-conf', settings.conf],
      ...['--rsyslog-conf-dir', settings.confDir, '--rsyslog-pid-file', settings.pidFile],
      ...['--rsyslog-work-dir', settings.workDir, '-r', new URL(gateway.url).origin],
      ...['--storage-status-uri', `http://${storage.address}/status`],
    ],
    env: {
      AUDIT_LOGGING_ENDPOINT: `127.0.0.1:${logs.port}`,
      NEON_CONTROL_PLANE_TOKEN: 'token-of-control-plane',
      TMPDIR: at('tmp'),
    },
    async stop() {
      pooler.stop();
      proxy.stop();
      gateway.stop();
      storage.stop();
      await rsyslog.stop();
      await logs.leave();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Has a saved state of the file cache; at `/status` it is a storage that nothing is wrong with. */
async function startEndpointStorage(): Promise<{ address: string; stop(): void }> {
  const state = zstdCompressSync(Buffer.from([1]));
  const healthy = JSON.stringify({ troubles: [], disk: null });
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end(request.url === '/status' ? healthy : state));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
