import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { Encryption } from '../../../src/local/front/encryption.ts';
import type { TlsFiles } from '../../../src/postgres/tls.ts';
import { type FrontRig, RawClient, bare, cancelPacket, frontRig } from '../../support/front-rig.ts';
import { oldestAndNewest } from '../../support/postgres-versions.ts';
import { scratchDir } from '../../support/scratch.ts';
import { type PemPair, makePemPair, writePair } from '../../support/tls-pairs.ts';

const psqlOf = (bindir: string): string => join(bindir, 'psql');
const sslRequest = bare(Buffer.from([0x04, 0xd2, 0x16, 0x2f]));
const gssEncRequest = bare(Buffer.from([0x04, 0xd2, 0x16, 0x30]));

let dir: string;
let files: TlsFiles;
let first: PemPair;
let renewed: PemPair;
const told: string[] = [];

beforeAll(() => {
  dir = scratchDir('front-tls');
  [first, renewed] = [makePemPair('localhost'), makePemPair('localhost', 'RSA 2048')];
  files = writePair(dir, first);
});
afterAll(() => rmSync(dir, { recursive: true }));

test('a certificate that has expired is told, and used all the same', async () => {
  const at = scratchDir('front-tls-expired');
  const lines: string[] = [];
  const expired = writePair(at, makePemPair('localhost', 'P-256', [-10, -1]));
  await Encryption.open(expired, (text) => lines.push(text));
  expect(lines).toEqual([expect.stringContaining('expired at')]);
  rmSync(at, { recursive: true });
});

describe.each(oldestAndNewest().map((postgres) => ({ postgres, major: postgres.major })))(
  'PostgreSQL $major',
  ({ postgres, major }) => {
    let rig: FrontRig;
    beforeAll(async () => {
      writePair(dir, first);
      const encryption = await Encryption.open(files, (text) => told.push(text));
      rig = await frontRig(postgres, { more: { encryption } });
    }, 60_000);
    afterAll(() => rig.close());

    const psql = async (conninfo: string, sql = 'select 1 as n'): Promise<string> => {
      const args = [`host=127.0.0.1 port=${rig.port} user=ann dbname=ann ${conninfo}`, '-XAtc', sql];
      const env = { ...process.env, PGPASSWORD: 'secret', PGSSLROOTCERT: files.certPath };
      const ran = promisify(execFile)(psqlOf(postgres.bindir), args, { env });
      return ran.then(
        ({ stdout }) => stdout.trim(),
        (error: { stderr: string }) => error.stderr.trim(),
      );
    };
    const client = (cert = first.cert): ReturnType<FrontRig['client']> =>
      rig.client({ host: 'localhost', ssl: { ca: cert } });
    const here = () => ({ port: rig.port, host: '127.0.0.1', rejectUnauthorized: false });
    const gone = async (): Promise<void> => {
      await expect.poll(() => rig.front.sessions.length).toBe(0);
    };

    test.runIf(existsSync(psqlOf(postgres.bindir)))(
      'psql has TLS wherever it asks for it, and none where it does not',
      async () => {
        expect(await psql('sslmode=disable')).toBe('1');
        expect(await psql('sslmode=require')).toBe('1');
        expect(await psql('host=localhost sslmode=verify-full')).toBe('1');
        expect(await psql('host=127.0.0.1 sslmode=verify-full')).toContain('does not match host name');
        expect(await psql('sslmode=require', String.raw`\conninfo`)).toMatch(/SSL|TLS/);
        // Postgres is behind the front, and takes no part in it.
        expect(await psql('sslmode=require channel_binding=require')).toContain('channel binding');
        await gone();
      },
    );

    test.runIf(major >= 17 && existsSync(psqlOf(postgres.bindir)))('psql can begin with TLS', async () => {
      const direct = 'sslmode=require sslnegotiation=direct';
      expect(await psql(direct)).toBe('1');
      expect(await psql(direct, 'select repeat($$x$$, 300000)')).toHaveLength(300_000);
      await gone();
    });

    test('a client with TLS wakes it, keeps its connection over a sleep, and can cancel', async () => {
      const roster = await rig.asleep();
      const connecting = client();
      await rig.front.demanded(never);
      rig.front.open();
      const one = await connecting;
      expect((await one.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
      const session = rig.front.sessions[0]!;
      await expect.poll(() => session.quiet).toBe(true);
      await session.inspect();
      rig.front.shut(roster);
      expect(session.canReturn(roster)).toBe(true);
      session.detach();
      void rig.front.demanded(never).then(() => rig.front.open());
      expect((await one.query('select 2 as n')).rows).toEqual([{ n: 2 }]);
      const long = one.query('select pg_sleep(30)');
      const running = "select from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'";
      await expect.poll(async () => (await rig.admin(running)).length).toBe(1);
      const { processID, secretKey } = one as unknown as { processID: number; secretKey: number };
      const key = Buffer.alloc(8);
      key.writeInt32BE(processID);
      key.writeInt32BE(secretKey, 4);
      connectTls({ ...here(), ALPNProtocols: ['postgresql'] })
        .on('error', () => {})
        .end(cancelPacket(key));
      await expect(long).rejects.toMatchObject({ code: '57014' });
      await one.end();
      await gone();
    });

    test('a wrong password wakes nothing with TLS either', async () => {
      await rig.asleep();
      await expect(
        rig.client({ ssl: { ca: first.cert }, host: 'localhost', password: 'no' }),
      ).rejects.toMatchObject({ code: '28P01' });
      expect(rig.front.isDemanded).toBe(false);
      rig.front.open();
    });

    test('a reader that stops and goes on gets all of a large result', async () => {
      const one = await client();
      const rows = one.query('select repeat(md5(n::text), 1000) as t from generate_series(1, 1000) n');
      const { stream } = (one as unknown as { connection: { stream: NodeJS.ReadStream } }).connection;
      await new Promise((resolve) => setImmediate(resolve));
      stream.pause();
      setTimeout(() => stream.resume(), 200);
      expect((await rows).rows).toHaveLength(1000);
      await one.end();
      await gone();
    });

    test('a renewed certificate is taken by the next connection, and one that is broken by none', async () => {
      const before = await client();
      writePair(dir, renewed);
      const after = await client(renewed.cert);
      expect((await before.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
      told.length = 0;
      writePair(dir, { ...renewed, key: first.key });
      const still = await client(renewed.cert);
      await client(renewed.cert).then((one) => one.end());
      expect(told).toEqual([expect.stringMatching(/does not belong to .*: the earlier one stays in use/)]);
      rmSync(files.keyPath);
      await client(renewed.cert).then((one) => one.end());
      expect(told).toHaveLength(2);
      writePair(dir, first);
      const again = await client();
      for (const one of [before, after, still, again]) await one.end();
      await gone();
    });

    /** What comes after the answer to a request, up to the end. */
    async function after(answer: string, ...bytes: Buffer[]): Promise<string> {
      const raw = new RawClient(rig.port);
      const said: Buffer[] = [];
      raw.socket.on('data', (chunk) => said.push(chunk));
      raw.socket.write(Buffer.concat(bytes));
      await once(raw.socket, 'close');
      const text = Buffer.concat(said).toString('latin1');
      expect(text.slice(0, answer.length)).toBe(answer);
      return text.slice(answer.length);
    }

    test('bytes that came before TLS was there are refused, not taken for the first ones within it', async () => {
      expect(await after('', sslRequest, Buffer.from('x'))).toContain('bytes after the request for TLS');
      expect(await after('N', gssEncRequest, sslRequest, Buffer.from('x'))).toContain('08P01');
      await gone();
    });

    test('who begins with TLS must say that this is the protocol, and no TLS is asked for within TLS', async () => {
      const at = here();
      const unnamed = connectTls(at).on('error', () => {});
      await once(unnamed, 'secureConnect');
      unnamed.write(sslRequest);
      await once(unnamed, 'close');
      const other = connectTls({ ...at, ALPNProtocols: ['http/1.1'] });
      await expect(once(other, 'secureConnect')).rejects.toThrow(/no application protocol/i);
      const named = connectTls({ ...at, ALPNProtocols: ['postgresql'] }).on('error', () => {});
      await once(named, 'secureConnect');
      const said: Buffer[] = [];
      named.on('data', (chunk: Buffer) => said.push(chunk));
      named.write(sslRequest);
      await once(named, 'close');
      expect(Buffer.concat(said).toString()).toContain('encryption was already answered');
      await gone();
    });

    test('what is no TLS after all ends the connection, and nothing else', async () => {
      const raw = new RawClient(rig.port);
      raw.socket.write(sslRequest);
      await once(raw.socket, 'data');
      raw.socket.write(Buffer.alloc(5000, 0x41));
      await once(raw.socket, 'close');
      await gone();
      expect(rig.front.joining).toHaveLength(0);
      await client().then((one) => one.end());
    });
  },
);
