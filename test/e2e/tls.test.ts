import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openSocket } from '../../src/pg/socket.ts';
import { type Rig, rig } from '../support/compute.ts';
import type { Program } from '../support/program.ts';
import { type PemPair, makePemPair, writePair } from '../support/tls-pairs.ts';

let it: Rig;
let certs: string;
beforeAll(async () => {
  it = await rig();
  certs = join(it.home, 'certs');
  mkdirSync(certs);
  for (const end of ['key', 'crt']) symlinkSync(join('..data', `tls.${end}`), join(certs, `tls.${end}`));
});
afterAll(() => it.stop());

const soon = <T>(check: () => T): Promise<Awaited<T>> =>
  vi.waitFor(async () => check(), { timeout: 60_000, interval: 50 }) as Promise<Awaited<T>>;

/** As a volume of secrets does it. */
function swap(pair: PemPair, name: string): void {
  mkdirSync(join(certs, name));
  writePair(join(certs, name), pair);
  symlinkSync(name, join(certs, '..data_tmp'));
  renameSync(join(certs, '..data_tmp'), join(certs, '..data'));
}

/** The name in the certificate of Postgres. */
async function served(): Promise<string> {
  const target = { host: '127.0.0.1', port: it.port, user: '', password: null, database: '', options: '' };
  const tls = { mode: 'require', serverName: 'db', rootCert: null } as const;
  const socket = (await openSocket({ ...target, tls }, new AbortController().signal)) as TLSSocket;
  const name = socket.getPeerX509Certificate()?.subject ?? '';
  socket.destroy();
  return name;
}

const withTls = { features: ['tls_experimental'] };

let program: Program;
function start(): void {
  const tls = { key_path: join(certs, 'tls.key'), cert_path: join(certs, 'tls.crt') };
  const compute_ctl_config = { jwks: it.keys.jwks, tls };
  const file = join(it.home, 'config.json');
  writeFileSync(file, JSON.stringify({ spec: it.spec(withTls), compute_ctl_config }));
  program = it.run(['-c', file, '-i', 'compute-1']);
}

interface TlsHealth {
  readonly state: string;
  readonly error: string | null;
  readonly detail?: string;
}
const health = async (): Promise<TlsHealth | undefined> =>
  (await it.http('GET', '/status')).json<{ services: { tls?: TlsHealth } }>().services.tls;

const moves = (): string[] => [...it.log().matchAll(/status from \w+ to (\w+)/g)].map(([, to = '']) => to);

const configure = async (changes: object): Promise<void> => {
  const body = { spec: it.spec(changes), compute_ctl_config: { jwks: it.keys.jwks } };
  expect((await it.http('POST', '/configure', body)).status).toBe(200);
};

test('a start without certificates goes on without TLS, and TLS is on as soon as there are some', async () => {
  start();
  await it.until('running');
  await soon(async () =>
    expect(await health()).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(
        /tls\.key \(ENOENT\).*Postgres runs without TLS until both files are/,
      ) as string,
    }),
  );
  await expect(served()).rejects.toThrow('does not support SSL');
  swap(makePemPair('first'), '..1');
  await soon(async () => expect(await served()).toBe('CN=first'));
  swap(makePemPair('second', 'RSA 2048'), '..2');
  await soon(async () => expect(await served()).toBe('CN=second'));
  await soon(async () =>
    expect(await health()).toMatchObject({
      state: 'ok',
      detail: expect.stringMatching(/^certificate of CN=second, valid until 20/) as string,
    }),
  );
  expect(moves()).toEqual(['init', 'running']);
});

test('a new configuration keeps TLS, or ends it and leaves nothing of it', async () => {
  await configure({ ...withTls, suspend_timeout_seconds: 7 });
  expect(await served()).toBe('CN=second');
  const conf = (): string => readFileSync(join(it.pgdata, 'postgresql.conf'), 'utf8');
  expect(conf()).toContain("ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n");
  unlinkSync(join(certs, 'tls.key'));
  await configure({ ...withTls, suspend_timeout_seconds: 8 });
  expect(await served()).toBe('CN=second');
  await configure({});
  await soon(() => expect(served()).rejects.toThrow('does not support SSL'));
  expect(await health()).toBeUndefined();
  for (const name of ['server.key', 'server.crt', 'compute_ctl_tls', 'compute_ctl_tls.conf'])
    expect([name, existsSync(join(it.pgdata, name))]).toEqual([name, false]);
  await soon(async () =>
    expect((await it.http('GET', '/metrics')).body).not.toContain('compute_pg_certificate'),
  );
  await configure(withTls);
  await soon(async () => expect((await health())?.state).toBe('failed'));
  await expect(served()).rejects.toThrow('does not support SSL');
  symlinkSync(join('..data', 'tls.key'), join(certs, 'tls.key'));
  await soon(async () => expect(await served()).toBe('CN=second'));
  await soon(async () => expect((await health())?.state).toBe('ok'));
});

test('a start with certificates is a start and nothing more', async () => {
  await it.http('POST', '/terminate?mode=immediate');
  await program.exited();
  start();
  await it.until('running');
  expect(await served()).toBe('CN=second');
  await soon(async () => expect((await health())?.detail).toContain('CN=second'));
  const metrics = await soon(async () => {
    const found = await it.http('GET', '/metrics');
    expect(found.body).toMatch(/\ncompute_pg_certificate_expiry_seconds\{file="server\.crt"\} \d+\n/);
    return found;
  });
  expect(metrics.body).not.toContain('compute_tls_renewals_total');
  expect(moves()).toEqual(['init', 'running']);
  expect(it.log()).toMatch(/TLS is on: certificate of CN=second/);
});
