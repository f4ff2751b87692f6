import { join } from 'node:path';
import { linked, never } from '../../core/abort.ts';
import { alarm, elapsedMs, monotonicMs, tookTooLong } from '../../core/clock.ts';
import { ComputeError, explained } from '../../core/errors.ts';
import { Queue } from '../../core/queue.ts';
import { backoffMs } from '../../core/retry.ts';
import { download } from '../../outbound/download.ts';
import { removeTree } from '../../process/remove-tree.ts';
import type { RemoteExtensions } from '../../spec/schema.ts';
import { defaultUnpackLimits } from '../../tar/bounded.ts';
import { unpack } from '../../tar/unpack.ts';
import { OnlyExtension, decompressed } from './archive.ts';
import { writeControlFiles } from './control-files.ts';
import { archiveOf, archiveUrl, refusal } from './gateway.ts';
import { install } from './install.ts';
import { type Places, assertWritable, findPlaces } from './places.ts';
import type { StoreDeps } from './store-deps.ts';
import { WorkDir } from './work-dir.ts';

/** Of an archive, and of all that is in it. The largest that are known have 500 MB. */
const archiveBytes = 4 * 1024 ** 3;
const limits = {
  bytes: 16 * 1024 ** 3,
  entries: 100_000,
  what: 'an extension',
  hints: {},
};
/** Stay free in the file system, as while an archive is unpacked. */
const { reserveBytes } = defaultUnpackLimits;
const idleMs = 20_000;
/** With these pauses, a gateway may be away for a minute. */
const attempts = 8;
const pauses = { firstMs: 500, maxMs: 30_000, jitter: [0.8, 1.2] } as const;
/** Milliseconds for all attempts: those of a request that asks for the extension. */
const totalMs = 590_000;
/** Milliseconds: an archive of many tiny frames would take hours. */
const unpackMs = 300_000;

interface Fetching {
  /** Called with the reason when an attempt has failed and another one follows. */
  readonly onTrouble: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** The directories of one PostgreSQL, into which extensions are put. */
export class Installation {
  readonly #deps: StoreDeps;
  readonly #places: Places;
  readonly #work: WorkDir;
  /** Two extensions may have a file of the same name: the second one must see that of the first. */
  readonly #turns = new Queue(1);

  private constructor(deps: StoreDeps, places: Places, work: WorkDir) {
    this.#deps = deps;
    this.#places = places;
    this.#work = work;
  }

  /** @throws ComputeError `download` */
  static async open(deps: StoreDeps, signal: AbortSignal): Promise<Installation> {
    const places = await findPlaces(deps.postgres, signal);
    await assertWritable(places);
    const work = WorkDir.open(deps.postgres.bin.dir, places.share);
    await work.clean(deps.log, signal);
    return new Installation(deps, places, work);
  }

  writeControlFiles(spec: RemoteExtensions): void {
    writeControlFiles(spec, this.#places, this.#deps.log);
  }

  /** Downloads, unpacks and installs. @returns the bytes of the archive */
  async fetch(gateway: string, extension: string, { onTrouble, signal }: Fetching): Promise<number> {
    const { postgres, log, failpoints } = this.#deps;
    const startMs = monotonicMs();
    const url = archiveUrl(gateway, postgres.bin.major, extension);
    const part = this.#work.newPart();
    try {
      const archive = join(part, 'archive');
      await failpoints.pass('compute-extension-download', signal, extension);
      const bytes = await this.#download(url, extension, archive, { onTrouble, signal });
      const names = await this.#unpack(archive, part, signal);
      await failpoints.pass('compute-extension-install', signal, extension);
      const unpacked = { extension, dir: part, names };
      await this.#turns.add(() => install(unpacked, this.#places, this.#work), signal);
      log.info(`installed the extension ${extension}: ${bytes} bytes in ${elapsedMs(startMs)} ms`);
      return bytes;
    } finally {
      await removeTree(part, never).catch((error: unknown) => log.warn(explained(error)));
    }
  }

  #download(url: string, extension: string, path: string, { onTrouble, signal }: Fetching): Promise<number> {
    const { metrics, log, env } = this.#deps;
    const filename = archiveOf(extension);
    const onAttempt = (http_status: string): void =>
      metrics.inc('compute_ctl_remote_ext_requests_total', { http_status, filename });
    return download(
      { url, path, maxBytes: archiveBytes, reserveBytes, idleMs, env, onAttempt, refusal },
      {
        what: `the download of ${extension}`,
        pauseMs: (failures) => backoffMs(failures, pauses),
        attempts,
        totalMs,
        onRetry: ({ error, pauseMs }) => {
          onTrouble(error);
          log.warn(`the download of ${extension} is tried again in ${pauseMs} ms: ${explained(error)}`);
        },
      },
      signal,
    );
  }

  async #unpack(archive: string, dir: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const through = (sink: ConstructorParameters<typeof OnlyExtension>[0]): OnlyExtension =>
      new OnlyExtension(sink);
    const limited = linked(signal);
    const cancel = alarm(unpackMs, () => limited.abort(tookTooLong('unpacking the archive', unpackMs)));
    try {
      const options = { dir, gzip: false, limits, through };
      return (await unpack(decompressed(archive, limited.signal), options, limited.signal)).names;
    } catch (cause) {
      signal.throwIfAborted();
      limited.signal.throwIfAborted();
      const { code } = cause as { code?: unknown };
      if (typeof code !== 'string' || !/^(?:Z|ZSTD)_/i.test(code)) throw cause;
      throw new ComputeError('archive_invalid', 'the compressed archive is damaged or cut off', { cause });
    } finally {
      cancel();
      limited.release();
    }
  }
}
