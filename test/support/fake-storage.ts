import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import * as wire from '../../src/wire/messages.ts';
import { WireError, type WireOptions, type WireSession, serveWire } from '../../src/wire/server.ts';

/** Doubles of Neon's storage that misbehave on request. A script may be changed while the double runs. */

export interface FakeStorage<Script> {
  script: Script;
  readonly port: number;
  /** `127.0.0.1:port` */
  readonly address: string;
  /** `postgresql://no_user@127.0.0.1:port` */
  readonly url: string;
  /** Every statement received, in order. */
  readonly commands: string[];
  /** Start-up parameters of every log-in, in order. */
  readonly logins: ReadonlyMap<string, string>[];
  stop(): Promise<void>;
}

interface CommonScript {
  /** Asked for as the password; left out: none is asked for. */
  token?: string;
  /** Milliseconds before each answer. */
  delayMs?: number;
  /** The error that the faults `error…` report. Default: XX000 `injected`. */
  error?: { sqlstate: string; message: string };
}

export interface SafekeeperScript extends CommonScript {
  /** LSNs as text; null is SQL's NULL. */
  flush?: string | null;
  commit?: string | null;
  fault?:
    | 'unknown'
    | 'silent'
    | 'silent-login'
    | 'error'
    | 'close'
    | 'half-close'
    | 'missing-column'
    | 'garbage';
}

export interface PageserverScript extends CommonScript {
  /** Sent as it is; see `makeTarball`, `truncated`, `corrupted`. */
  tarball: Buffer;
  fault?:
    | 'silent'
    | 'silent-login'
    | 'error-before'
    | 'error-middle'
    | 'error-after'
    | 'cut-middle'
    | 'stall-middle'
    | 'half-close'
    | 'no-copy-done'
    | 'no-copy'
    | 'cut-after'
    | 'garbage';
  /** The fault applies to the first so many commands only. */
  faults?: number;
  /** What a request for a lease is answered with: milliseconds from now until it ends, null for SQL's NULL, text as it
   *  is. Default 600000. */
  lease?: number | string | null;
  /** Size of the CopyData messages. Default 8192. */
  chunkBytes?: number;
}

export const startFakeSafekeeper = (script: SafekeeperScript): Promise<FakeStorage<SafekeeperScript>> =>
  start(script, async (session, text, fake) => {
    const { fault, flush = '0/0', commit = '0/0', error } = fake.script;
    if (!text.startsWith('TIMELINE_STATUS')) throw new WireError('XX000', `cannot parse query: ${text}`);
    if (fault === 'silent') await silence(session);
    else if (fault === 'close') session.cut();
    else if (fault === 'half-close') await halfClose(session);
    else if (fault === 'garbage') await session.send(garbage);
    else if (fault === 'error') throw injected(error);
    else if (fault === 'missing-column') await session.rows(['flush_lsn'], [[flush]], 'TIMELINE_STATUS');
    else {
      const rows = fault === 'unknown' ? [] : [[flush, commit]];
      await session.rows(['flush_lsn', 'commit_lsn'], rows, 'TIMELINE_STATUS');
    }
  });

export const startFakePageserver = (script: PageserverScript): Promise<FakeStorage<PageserverScript>> =>
  start(script, async (session, text, fake) => {
    const { faults = Infinity, tarball, error, chunkBytes = 8192 } = fake.script;
    const fault = fake.commands.length <= faults ? fake.script.fault : undefined;
    if (/^lease lsn /i.test(text)) {
      const { lease = 600_000 } = fake.script;
      if (fault === 'silent') return silence(session);
      if (fault === 'error-before') throw injected(error);
      const until = typeof lease === 'number' ? String(Date.now() + lease) : lease;
      return session.rows(['valid_until'], [[until]], 'SELECT 1');
    }
    if (!/^basebackup /i.test(text)) throw new WireError('XX000', `cannot parse query: ${text}`);
    if (fault === 'silent') return silence(session);
    if (fault === 'error-before') throw injected(error);
    if (fault === 'garbage') return session.send(garbage);
    if (fault === 'no-copy') return session.complete('SELECT 1');
    await session.send(wire.copyOutResponse());
    const middle = fault?.endsWith('-middle') === true || fault === 'half-close';
    const bytes = middle ? tarball.subarray(0, tarball.length / 2) : tarball;
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      await session.copyData(bytes.subarray(at, at + chunkBytes));
    }
    if (fault === 'error-middle') throw injected(error);
    if (fault === 'stall-middle') return silence(session);
    if (fault === 'half-close') return halfClose(session);
    if (fault === 'cut-middle') return session.cut();
    if (fault !== 'no-copy-done') await session.send(wire.copyDone());
    if (fault === 'no-copy-done') return silence(session);
    if (fault === 'cut-after') return session.cut();
    if (fault === 'error-after') throw injected(error);
    return session.complete('SELECT 1');
  });

const garbage = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');

const injected = (error: CommonScript['error']): WireError =>
  new WireError(error?.sqlstate ?? 'XX000', error?.message ?? 'injected');

/** Nothing, until the client gives up. */
async function silence({ signal }: WireSession): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

async function halfClose(session: WireSession): Promise<void> {
  session.halfClose();
  await silence(session);
}

async function start<Script extends CommonScript & { fault?: string }>(
  script: Script,
  answer: (session: WireSession, text: string, fake: FakeStorage<Script>) => Promise<void>,
): Promise<FakeStorage<Script>> {
  const commands: string[] = [];
  const logins: ReadonlyMap<string, string>[] = [];
  const options: WireOptions = {
    async onStartup(session) {
      logins.push(session.parameters);
      if (fake.script.fault === 'silent-login') await silence(session);
      return null;
    },
    async onQuery(session, text) {
      commands.push(text);
      const { delayMs = 0 } = fake.script;
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      await answer(session, text, fake);
    },
  };
  const { token } = script;
  const server = serveWire({
    ...options,
    limits: { handshakeMs: 60_000 },
    ...(token === undefined
      ? {}
      : {
          // The real ones send less after a password.
          serverParameters: { client_encoding: 'UTF8' },
          password: async (given) =>
            given === fake.script.token ? null : new WireError('XX000', 'JWT authentication error'),
        }),
  });
  const { port } = await server.listen(0, '127.0.0.1');
  const address = `127.0.0.1:${port}`;
  const stop = (): Promise<void> => server.close(AbortSignal.abort());
  const fake = { script, port, address, url: `postgresql://no_user@${address}`, commands, logins, stop };
  return fake;
}

export interface TarballEntry extends Pick<Partial<Header>, 'type' | 'mode' | 'linkname' | 'mtime'> {
  readonly name: string;
  readonly body?: string | Buffer;
}

/** A tar of `entries`, of whatever names and types, gzipped unless told otherwise. */
export async function makeTarball(
  entries: readonly TarballEntry[],
  { gzip = true }: { gzip?: boolean } = {},
): Promise<Buffer> {
  const archive = pack();
  for (const { body = '', ...header } of entries) {
    archive.entry({ mode: header.type === 'directory' ? 0o755 : 0o600, ...header }, body);
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  const tar = Buffer.concat(chunks);
  return gzip ? gzipSync(tar, { level: 1 }) : tar;
}

/** The least that passes for a complete base backup. No Postgres would start from it. */
export const minimalEntries: readonly TarballEntry[] = [
  { name: 'global', type: 'directory' },
  { name: 'pg_wal/archive_status', type: 'directory' },
  { name: 'pg_dynshmem', type: 'directory' },
  { name: 'PG_VERSION', body: '15' },
  { name: 'zenith.signal', body: 'PREV LSN: none' },
  { name: 'global/pg_control', body: Buffer.alloc(8192, 1) },
  { name: 'pg_wal/000000010000000000000001', body: Buffer.alloc(100_000, 2) },
];

/** The archive breaks off. */
export const truncated = (tarball: Buffer): Buffer => tarball.subarray(0, Math.floor(tarball.length * 0.7));

/** The last bytes of gzip are a checksum and the size: the checksum is wrong. */
export function corrupted(tarball: Buffer): Buffer {
  const copy = Buffer.from(tarball);
  copy[copy.length - 8] = (copy[copy.length - 8] ?? 0) ^ 0xff;
  return copy;
}
