import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { constants, createDeflateRaw, crc32 } from 'node:zlib';
import { ComputeError } from '../../core/errors.ts';
import { type Lsn, parseLsn } from '../../core/lsn.ts';
import { startProcess } from '../../process/process.ts';
import { endChild, termThenKill } from '../../process/end.ts';
import { fsyncPath, ownDir } from '../../process/files.ts';
import { removeFilesSync } from '../../process/made.ts';
import { type Socket, type Tools, conninfo } from './tools.ts';
import { withCompute } from './compute-link.ts';
import { belongsToCompute } from './files.ts';
import { baseFile } from './layout.ts';
import { madeBase } from './made.ts';
import { type TarEntry, withoutTarEnd, writeTar } from '../../tar/write.ts';

export interface TakenBase {
  readonly crc32: number;
  readonly tarBytes: number;
  readonly startLsn: Lsn;
  /** The base backup can be used only when the WAL up to here has been received. */
  readonly stopLsn: Lsn;
}

/** Base backups are read much more often than written, but the first start waits for this. */
const level = 3;

/** Takes a base backup of a running server with pg_basebackup and stores it in `dir`, compressed and fsynced.
 *  @param onBytes called with the number of bytes read so far
 *  @throws ComputeError `local_storage` with pg_basebackup's messages */
export async function takeBase(
  tools: Tools,
  server: Socket,
  dir: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => {},
): Promise<TakenBase> {
  removeFilesSync(dir, madeBase);
  ownDir(dir, 0o700);
  const said: string[] = [];
  const child = await startProcess({
    command: tools.postgres.sibling('pg_basebackup'),
    args: [
      `--dbname=${conninfo(server, 'compute_local_base')}`,
      '--no-password',
      '--pgdata=-',
      '--format=tar',
      '--wal-method=none',
      '--checkpoint=fast',
      '--no-manifest',
    ],
    env: tools.env,
    cwd: '/',
    onStderrLine: (line) => said.push(line),
  });
  const stop = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    const stored = await store(child.stdout as Readable, baseFile(dir), signal, onBytes).catch(
      (error: unknown) => {
        signal.throwIfAborted();
        child.kill('SIGKILL');
        return error as Error;
      },
    );
    const exit = await child.closed;
    signal.throwIfAborted();
    if (exit.code !== 0 || stored instanceof Error) {
      const cause = stored instanceof Error ? stored : undefined;
      throw new ComputeError('local_storage', `pg_basebackup failed: ${said.slice(-5).join('; ')}`, {
        cause,
      });
    }
    fsyncPath(baseFile(dir));
    return { ...stored, stopLsn: await flushed(server, signal) };
  } finally {
    signal.removeEventListener('abort', stop);
    await endChild(child, termThenKill(2000), signal);
  }
}

async function store(
  archive: Readable,
  file: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<Omit<TakenBase, 'stopLsn'>> {
  let [crc, bytes] = [0, 0];
  let label: Buffer | null = null;
  const entries = repacked(archive, (content) => (label = content));
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of withoutTarEnd(writeTar(entries))) {
      crc = crc32(chunk, crc);
      bytes += chunk.length;
      onBytes(bytes);
      yield chunk;
    }
  };
  // Ends with a full flush instead of a final block, so that more compressed data can follow: see archive.ts.
  const deflate = createDeflateRaw({ level, finishFlush: constants.Z_FULL_FLUSH, chunkSize: 256 * 1024 });
  await pipeline(counted(), deflate, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
  return { crc32: crc, tarBytes: bytes, startLsn: startOf(label ?? Buffer.alloc(0)) };
}

/** The entries of pg_basebackup's archive that belong to the timeline, named without `./`. */
async function* repacked(archive: Readable, onLabel: (content: Buffer) => void): AsyncGenerator<TarEntry> {
  const { default: tar } = await import('tar-stream');
  const parser = tar.extract();
  const parsed = pipeline(archive, parser).catch((error: Error) => parser.destroy(error));
  for await (const entry of parser) {
    const { header } = entry;
    const name = header.name.replace(/^(\.\/)+/, '').replace(/\/$/, '');
    if (header.type === 'symlink' || header.type === 'link') {
      throw new ComputeError('local_storage', `the data directory contains the symbolic link ${name}`, {
        hint: 'the storage of compute-local does not support tablespaces: drop them',
      });
    }
    const wanted = name !== '' && !belongsToCompute(name);
    const common = { name, mode: header.type === 'directory' ? 0o755 : 0o600, mtime: header.mtime };
    if (name === backupLabel) {
      const content = await buffer(entry as AsyncIterable<Buffer>);
      onLabel(content);
      yield { ...common, content };
    } else if (wanted && header.type === 'directory') yield { ...common, content: null };
    else if (wanted)
      yield { ...common, content: { bytes: header.size, chunks: entry as AsyncIterable<Buffer> } };
    entry.resume();
  }
  await parsed;
}

const backupLabel = 'backup_label';

/** `START WAL LOCATION: 0/2000028 (file 000000010000000000000002)` */
function startOf(label: Buffer): Lsn {
  const lsn = parseLsn(/^START WAL LOCATION: (\S+)/m.exec(label.toString())?.[1] ?? '');
  if (lsn === null)
    throw new ComputeError(
      'local_storage',
      `the base backup's ${backupLabel} does not have a start position`,
    );
  return lsn;
}

/** An upper limit for the base backup's end; pg_basebackup gives the exact one only together with the WAL itself. */
async function flushed(server: Socket, signal: AbortSignal): Promise<Lsn> {
  const { rows } = await withCompute(server, signal, (pg) =>
    pg.query<{ lsn: string }>('select pg_catalog.pg_current_wal_flush_lsn()::text as lsn'),
  );
  const lsn = parseLsn(rows[0]?.lsn ?? '');
  if (lsn === null) throw new ComputeError('local_storage', 'the server does not return the end of its WAL');
  return lsn;
}
