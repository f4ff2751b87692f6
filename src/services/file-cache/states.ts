import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { elapsedMs, monotonicMs } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { repeat } from '../../core/retry.ts';
import { linked } from '../../core/abort.ts';
import { withOwnPg } from '../../database/own-sql.ts';
import { sqlState } from '../../pg/client.ts';
import type { PgTarget } from '../../pg/target.ts';
import type { OffloadTimes, PrewarmTimes, PrewarmedPages } from './api.ts';
import { type SavedState, getState, putState } from './endpoint-storage.ts';

const decompress = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);
const compress = promisify<Buffer, Buffer>(zlib.zstdCompress);

/** Of a decompressed state. A megabyte of the cache takes 36 bytes (a tag of 20, and a bit for each page): this is enough for more
 *  than a terabyte. On its way to Postgres it takes four times this memory. */
const maxOutputLength = 64 * 1024 * 1024;
/** A large cache takes long to fill. */
const prewarmMs = 3_600_000;
const queryMs = 60_000;
const lookMs = 1000;

/** SQLSTATEs of a server without the functions of the neon extension: no function, no schema. */
const withoutCache = ['42883', '3F000'];

/** Fetches a saved state and lets Postgres load the pages that it names. Ends in the server, too, when `signal` aborts.
 *  @param onProgress called again and again while Postgres loads
 *  @returns null: no state was saved */
export async function loadState(
  from: SavedState,
  target: PgTarget,
  onProgress: (pages: PrewarmedPages) => void,
  signal: AbortSignal,
): Promise<(PrewarmedPages & PrewarmTimes) | null> {
  const startMs = monotonicMs();
  const saved = await getState(from, signal);
  if (saved === null) return null;
  const state_download_time_ms = elapsedMs(startMs);
  const state = await decompress(saved, { maxOutputLength }).catch((cause: unknown) => {
    throw new Error('the saved state is damaged or too large', { cause });
  });
  signal.throwIfAborted();
  const uncompress_time_ms = elapsedMs(startMs) - state_download_time_ms;
  const pages = await prewarm(state, target, onProgress, signal);
  const prewarm_time_ms = elapsedMs(startMs) - state_download_time_ms - uncompress_time_ms;
  return { ...pages, state_download_time_ms, uncompress_time_ms, prewarm_time_ms };
}

async function prewarm(
  state: Buffer,
  target: PgTarget,
  onProgress: (pages: PrewarmedPages) => void,
  signal: AbortSignal,
): Promise<PrewarmedPages> {
  const over = linked(signal);
  const watching = repeat(
    async (limited) => {
      onProgress(await pagesOf(target, limited));
      return lookMs;
    },
    over.signal,
    () => lookMs,
  );
  try {
    const session = { target, name: 'prewarm_lfc', statementMs: prewarmMs };
    await withOwnPg(session, signal, (pg) => pg.query('select neon.prewarm_local_cache($1)', [state]));
  } catch (error) {
    throw explain(error);
  } finally {
    over.abort();
    over.release();
    await watching;
  }
  return pagesOf(target, signal);
}

/** A value that cannot be read counts as 0. */
function pagesOf(target: PgTarget, signal: AbortSignal): Promise<PrewarmedPages> {
  const session = { target, name: 'prewarm_lfc_progress', statementMs: queryMs, readOnly: true };
  return withOwnPg(session, signal, async (pg) => {
    const text = 'select * from neon.get_prewarm_info()';
    const { rows } = await pg.query<unknown[]>({ text, rowMode: 'array' });
    const [total = 0, prewarmed = 0, skipped = 0] = (rows[0] ?? []).map((one) => Number(one) || 0);
    return { total, prewarmed, skipped };
  });
}

/** Saves which pages the cache has. @returns null: there is nothing to save, since the cache is empty or off */
export async function saveState(
  to: SavedState,
  target: PgTarget,
  signal: AbortSignal,
): Promise<OffloadTimes | null> {
  const startMs = monotonicMs();
  const session = { target, name: 'offload_lfc', statementMs: queryMs, readOnly: true };
  const state = await withOwnPg(session, signal, async (pg) => {
    const { rows } = await pg.query<{ state: Buffer | null }>('select neon.get_local_cache_state() as state');
    return rows[0]?.state ?? null;
  }).catch((error: unknown) => {
    throw explain(error);
  });
  if (state === null) return null;
  const state_query_time_ms = elapsedMs(startMs);
  const body = await compress(state);
  const compress_time_ms = elapsedMs(startMs) - state_query_time_ms;
  await putState(to, body, signal);
  const state_upload_time_ms = elapsedMs(startMs) - state_query_time_ms - compress_time_ms;
  return { state_query_time_ms, compress_time_ms, state_upload_time_ms };
}

function explain(error: unknown): unknown {
  if (!withoutCache.includes(sqlState(error) ?? '')) return error;
  return new ComputeError('not_found', 'this Postgres has no local file cache', {
    cause: error,
    hint: "only Neon's extension has one: take autoprewarm and offload_lfc_interval_seconds out of the spec",
  });
}
