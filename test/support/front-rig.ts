import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { never } from '../../src/core/abort.ts';
import { Front } from '../../src/local/front/front.ts';
import type { FrontOptions } from '../../src/local/front/options.ts';
import { observe } from '../../src/local/front/observe.ts';
import type { Roster } from '../../src/local/front/roster.ts';
import { hba } from '../../src/local/storage/files.ts';
import { type PgClient, withPg } from '../../src/pg/client.ts';
import { type Cluster, freePort, startCluster } from './cluster.ts';
import type { Installed } from './postgres-versions.ts';

const options = { applicationName: 'compute_local_test', connectMs: 5000, signal: never };

export interface FrontRig {
  readonly cluster: Cluster;
  readonly front: Front;
  readonly port: number;
  readonly server: { readonly dir: string; readonly port: number };
  /** As the superuser, on the socket. */
  admin<T = unknown>(text: string, database?: string): Promise<T[]>;
  asAdmin<T>(work: (pg: PgClient) => Promise<T>, database?: string): Promise<T>;
  client(config?: pg.ClientConfig): Promise<pg.Client>;
  /** Postgres stays, but is not asked. */
  asleep(): Promise<Roster>;
  close(): Promise<void>;
}

/** A Postgres with the hba of compute-local, the role `ann` with the password `secret`, her database, and a front before it. */
export async function frontRig(
  postgres: Installed,
  { conf = '', more = {} }: { readonly conf?: string; readonly more?: Partial<FrontOptions> } = {},
): Promise<FrontRig> {
  const cluster = await startCluster({ postgres, conf });
  const server = { dir: join(cluster.dataDir, '../run'), port: cluster.port };
  writeFileSync(join(cluster.dataDir, 'pg_hba.conf'), hba);
  const port = await freePort();
  const front = new Front({
    ...{ host: '127.0.0.1', port, server, superuser: 'cloud_admin', ignored: () => false },
    ...more,
  });
  const rig: FrontRig = {
    cluster,
    front,
    port,
    server,
    asAdmin: (work, database = 'postgres') =>
      withPg({ ...cluster.target, host: server.dir, database }, options, work),
    admin: (text, database) => rig.asAdmin(async (one) => (await one.query(text)).rows as never[], database),
    async client(config = {}) {
      const one = new pg.Client({ host: '127.0.0.1', port, user: 'ann', password: 'secret', ...config });
      one.on('error', () => {});
      await one.connect();
      return one;
    },
    async asleep() {
      const { roster } = await observe(server, never);
      front.shut(roster);
      return roster;
    },
    async close() {
      await front.close();
      await cluster.stop();
    },
  };
  await rig.admin('select pg_reload_conf()');
  await rig.admin("create role ann login password 'secret'");
  await rig.admin('create database ann owner ann');
  await front.listen();
  front.open();
  return rig;
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** A packet without a letter. */
export const bare = (...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
};

export const cancelPacket = (key: Buffer): Buffer => bare(int32(80877102), key);

/** A client that speaks any version of the protocol, message by message. */
export class RawClient {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => {};

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1').on('error', () => {});
    this.socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    this.socket.once('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** The next message; null at the end. */
  async next(): Promise<{ type: string; body: Buffer } | null> {
    for (;;) {
      const length = this.#bytes.length < 5 ? Infinity : this.#bytes.readUInt32BE(1) + 1;
      if (this.#bytes.length >= length) {
        const found = { type: String.fromCharCode(this.#bytes[0]!), body: this.#bytes.subarray(5, length) };
        this.#bytes = this.#bytes.subarray(length);
        return found;
      }
      if (this.#closed) return null;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  begin(version: number, parameters: Record<string, string>, encoding: 'utf8' | 'latin1' = 'utf8'): void {
    const words = Object.entries(parameters).flat();
    this.socket.write(bare(int32(version), Buffer.from(`${words.join('\0')}\0\0`, encoding)));
  }

  say(type: string, body: Buffer): void {
    this.socket.write(Buffer.concat([Buffer.from(type), int32(body.length + 4), body]));
  }

  /** Begins an exchange of SCRAM, after AuthenticationSASL. @returns the first message of the server, and what it answers */
  async challenge(): Promise<{ clientFirst: string; serverFirst: string }> {
    const clientFirst = `n=,r=${randomBytes(18).toString('base64')}`;
    const text = Buffer.from(`n,,${clientFirst}`);
    this.say('p', Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), int32(text.length), text]));
    const answer = await this.next();
    return { clientFirst, serverFirst: answer?.body.toString('utf8', 4) ?? '' };
  }

  /** All of a log-in. @returns the messages from the start up to ReadyForQuery, or to the error */
  async logIn(
    version: number,
    parameters: Record<string, string>,
    password: string,
    encoding: 'utf8' | 'latin1' = 'utf8',
  ): Promise<{ type: string; body: Buffer }[]> {
    const said: { type: string; body: Buffer }[] = [];
    this.begin(version, parameters, encoding);
    for (;;) {
      const packet = await this.next();
      if (packet === null) return said;
      said.push(packet);
      if (packet.type === 'Z' || packet.type === 'E') return said;
      if (packet.type !== 'R' || packet.body.readInt32BE(0) !== 10) continue;
      const { clientFirst, serverFirst } = await this.challenge();
      const [, nonce = '', salt = '', iterations = ''] = /^r=(.*),s=(.*),i=(.*)$/.exec(serverFirst) ?? [];
      const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
      const key = createHmac('sha256', salted).update('Client Key').digest();
      const stored = createHash('sha256').update(key).digest();
      const last = `c=biws,r=${nonce}`;
      const signature = createHmac('sha256', stored).update(`${clientFirst},${serverFirst},${last}`).digest();
      const proof = Buffer.from(key.map((byte, at) => byte ^ signature[at]!));
      this.say('p', Buffer.from(`${last},p=${proof.toString('base64')}`));
    }
  }
}
