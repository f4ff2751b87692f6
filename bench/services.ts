import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Equipped,
  equippedPostgres,
  surroundings,
  wanting,
  wishes,
} from '../test/support/all-services.ts';
import { freePort } from '../test/support/cluster.ts';
import { makePemPair, writePair } from '../test/support/tls-pairs.ts';

/** A start with other services than another one, all else being equal. */
export interface Variant {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Puts everything that the last start has changed back, and writes the file that the next one takes its spec from. */
  readonly prepare: (config: Config) => Promise<void>;
}

export interface Variants {
  /** The program `postgres` of all of them. */
  readonly postgres: string;
  readonly all: readonly Variant[];
  stop(): Promise<void>;
}

/** As the control plane has it. Its token is good for one start. */
export interface Config {
  readonly spec: { readonly cluster: { readonly settings: readonly object[] } };
  readonly compute_ctl_config: object;
}

/** The same spec without services, with all of them in order, and with all of them broken. Nothing is downloaded: no library that
 *  Postgres loads comes from the gateway.
 *  @param port of Postgres */
export async function serviceVariants(dir: string, port: number): Promise<Variants> {
  const equipped = await equippedPostgres();
  if (equipped === null) throw new Error('pgbouncer, Python, rsyslogd or pgaudit is missing');
  const beside = await surroundings(equipped, port);
  const files = filesIn(dir);
  const { from, write } = files;
  const { keyPath: key_path, certPath: cert_path } = beside.tls;
  const ini = await readFile(beside.pooler.ini, 'utf8');
  const names = Object.keys(wishes);
  const healthy: Variant = {
    name: 'all in order',
    args: [...from('healthy'), ...beside.args],
    env: beside.env,
    async prepare(config) {
      write('healthy', config, wanting(names, beside), { key_path, cert_path });
      writeFileSync(beside.pooler.ini, ini);
      rmSync(beside.proxyConfig, { force: true });
      rmSync(join(equipped.share, 'hstore.control'), { force: true });
      while (beside.rsyslog.pid() === null) await new Promise((resolve) => setTimeout(resolve, 50));
    },
  };
  return {
    postgres: join(equipped.postgres.bindir, 'postgres'),
    all: [
      {
        name: 'no services',
        args: from('without'),
        env: {},
        prepare: async (config) => write('without', config, {}, null),
      },
      healthy,
      await broken(dir, equipped, files),
    ],
    async stop() {
      await beside.stop();
      equipped.remove();
    },
  };
}

type Files = ReturnType<typeof filesIn>;

function filesIn(dir: string) {
  const path = (name: string): string => join(dir, `${name}.json`);
  return {
    // A signal leaves pgbouncer and local_proxy alone.
    from: (name: string): string[] => ['-c', path(name), '--dev'],
    write: (
      name: string,
      { spec, compute_ctl_config }: Config,
      changes: object,
      tls: object | null,
    ): void => {
      const library = { name: 'shared_preload_libraries', value: 'neon', vartype: 'string' };
      const cluster = { ...spec.cluster, settings: [...spec.cluster.settings, library] };
      const whole = { ...compute_ctl_config, ...(tls === null ? {} : { tls }) };
      const given = { spec: { ...spec, cluster, ...changes }, compute_ctl_config: whole };
      writeFileSync(path(name), JSON.stringify(given));
      chmodSync(path(name), 0o644);
    },
  };
}

async function broken(
  dir: string,
  { remote_extensions }: Equipped,
  { from, write }: Files,
): Promise<Variant> {
  const address = `127.0.0.1:${await freePort()}`;
  const nowhere = (name: string): string => join(dir, 'nowhere', name);
  const { keyPath, certPath } = writePair(dir, { key: makePemPair('a').key, cert: makePemPair('b').cert });
  const places = {
    ...{ endpointStorage: address, collector: address, remote_extensions },
    tls: { keyPath, certPath },
  };
  return {
    name: 'all broken',
    args: [
      ...[...from('broken'), '-r', `http://${address}`, '--storage-status-uri', `http://${address}/`],
      ...['--pgbouncer-ini', nowhere('ini'), '--pgbouncer-host', '127.0.0.1', '--pgbouncer-port', '1'],
      ...['--local-proxy-config', nowhere('config'), '--local-proxy-pid-file', nowhere('pid')],
      ...['--rsyslogd', nowhere('rsyslogd'), '--rsyslog-conf', nowhere('conf')],
      ...['--rsyslog-conf-dir', nowhere('rsyslog.d'), '--rsyslog-pid-file', nowhere('rsyslogd.pid')],
    ],
    env: { AUDIT_LOGGING_ENDPOINT: address },
    prepare: async (config) =>
      write('broken', config, wanting(Object.keys(wishes), places), {
        key_path: keyPath,
        cert_path: certPath,
      }),
  };
}
