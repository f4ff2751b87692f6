import { type FileHandle, open, statfs } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { linked } from '../core/abort.ts';
import { monotonicMs, tookTooLong, untilQuiet } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { NotRetryable } from '../core/not-retryable.ts';
import { type RetryOptions, retry } from '../core/retry.ts';
import { type GivenDigest, givenDigests, wrongDigest } from './digest.ts';
import { type OutboundAnswer, exchange } from './exchange.ts';

export interface Download {
  readonly url: string;
  /** A new file. */
  readonly path: string;
  /** A longer file is refused. */
  readonly maxBytes: number;
  /** Bytes that stay free in its file system, where Postgres may have its WAL. */
  readonly reserveBytes: number;
  /** Milliseconds without a byte after which the connection is given up, also before the answer begins. */
  readonly idleMs: number;
  /** With proxies. */
  readonly env: NodeJS.ProcessEnv;
  /** Called once for each request with `200 OK` or the like, `unknown` when there was no answer. */
  readonly onAttempt: (httpStatus: string) => void;
  /** The message for an answer that is no success. */
  readonly refusal: (answer: Pick<OutboundAnswer, 'status' | 'statusLine'>) => string;
}

const redirects = 10;
/** The free space is looked at again after so many bytes. */
const lookBytes = 32 * 1024 * 1024;
/** Statuses of servers that may answer better soon. */
const passing = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** Downloads one file to the disk. After a failure it goes on where the connection broke, if the server allows that and the file there
 *  is still the same. A digest that the server gives is checked.
 *  @param limits of the attempts
 *  @returns the bytes of the file. @throws ComputeError `download`, cause: what failed last */
export async function download(
  what: Download,
  limits: Omit<RetryOptions, 'retryable'>,
  signal: AbortSignal,
): Promise<number> {
  const file = await open(what.path, 'wx', 0o600);
  const fetching = new Fetching(what, file);
  const retryable = (error: unknown): boolean => !(error instanceof NotRetryable);
  try {
    return await retry((limited) => fetching.attempt(limited), { ...limits, retryable }, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ComputeError && error.code === 'download') throw error;
    throw new ComputeError('download', `could not download ${shownUrl(what.url)}`, { cause: error });
  } finally {
    await file.close();
  }
}

class Fetching {
  readonly #what: Download;
  readonly #file: FileHandle;
  /** Bytes of the file that are there. */
  #at = 0;
  /** Bytes of the whole file; null: the server does not say. */
  #size: number | null = null;
  /** Names this version of the file; null: the server cannot tell whether it has changed. */
  #etag: string | null = null;
  #digests: readonly GivenDigest[] = [];
  #heardMs = 0;
  #sinceLook = 0;

  constructor(what: Download, file: FileHandle) {
    this.#what = what;
    this.#file = file;
  }

  async attempt(signal: AbortSignal): Promise<number> {
    const { url, env, idleMs, onAttempt } = this.#what;
    const isPart = this.#at > 0 && this.#etag !== null;
    const headers = isPart ? { range: `bytes=${this.#at}-`, 'if-range': this.#etag as string } : {};
    let httpStatus = 'unknown';
    const over = linked(signal);
    let giveUp = (why: ComputeError): void => over.abort(why);
    this.#heardMs = monotonicMs();
    const watching = untilQuiet(() => this.#heardMs, idleMs, over.signal).then(
      () => giveUp(tookTooLong('waiting for more of the file', idleMs)),
      () => {},
    );
    try {
      await exchange({ method: 'GET', url, headers, redirects, signal: over.signal, env }, async (answer) => {
        httpStatus = answer.statusLine;
        giveUp = (why) => void answer.body.destroy(why);
        await this.#begin(answer, isPart);
        await this.#take(answer.body);
      });
    } finally {
      over.abort();
      over.release();
      await watching;
      onAttempt(httpStatus);
    }
    if (this.#size !== null && this.#at !== this.#size)
      throw this.#error(`it ends after ${this.#at} of ${this.#size} bytes`);
    const wrong = await wrongDigest(this.#what.path, this.#digests, signal);
    if (wrong === null) return this.#at;
    this.#etag = null;
    throw this.#error(`its ${wrong.algorithm} is not the one of the header ${wrong.header}`);
  }

  async #begin(answer: OutboundAnswer, isPart: boolean): Promise<void> {
    const { status, headers } = answer;
    const { maxBytes, refusal } = this.#what;
    if (status === 206) {
      const part = new RegExp(`^bytes ${this.#at}-\\d+/(\\d+|\\*)$`).exec(headers['content-range'] ?? '');
      if (isPart && part !== null) {
        if (part[1] !== '*') this.#size = Number(part[1]);
        return;
      }
      this.#etag = null;
      throw this.#error('the server sent another part than the one asked for');
    }
    // The part that is missing cannot be had: the next attempt begins anew.
    if (status === 416) this.#etag = null;
    if (status !== 200) {
      const Refused = passing(status) || status === 416 ? ComputeError : NotRetryable;
      throw new Refused('download', refusal(answer), { hint: `asked: ${shownUrl(this.#what.url)}` });
    }
    await this.#file.truncate(0);
    this.#at = 0;
    this.#etag = strongEtag(headers);
    this.#digests = givenDigests(headers);
    const length = headers['content-length'];
    this.#size = length === undefined ? null : Number(length);
    if ((this.#size ?? 0) > maxBytes) throw this.#tooLarge();
    await this.#assertRoom(this.#size ?? 0);
  }

  async #take(body: Readable): Promise<void> {
    const { maxBytes } = this.#what;
    for await (const piece of body as AsyncIterable<Buffer>) {
      this.#heardMs = monotonicMs();
      if (this.#at + piece.length > maxBytes) throw this.#tooLarge();
      this.#sinceLook += piece.length;
      if (this.#sinceLook > lookBytes) await this.#assertRoom(piece.length);
      await this.#write(piece);
    }
  }

  /** A nearly full disk takes a part, and says so only at the next write. */
  async #write(piece: Buffer): Promise<void> {
    for (let from = 0; from < piece.length;) {
      const { bytesWritten } = await this.#file.write(piece, from, piece.length - from, this.#at);
      from += bytesWritten;
      this.#at += bytesWritten;
    }
  }

  /** @throws NotRetryable when the file system has no room for so many bytes more: others need the rest of it */
  async #assertRoom(bytes: number): Promise<void> {
    this.#sinceLook = 0;
    const { path, url, reserveBytes } = this.#what;
    const { bsize, bavail } = await statfs(dirname(path));
    if (bsize * bavail >= bytes + reserveBytes) return;
    const message = `no space left on device (ENOSPC) for ${shownUrl(url)}: ${bytes} bytes more, and ${reserveBytes} that stay free, are more than the ${bsize * bavail} that are free`;
    throw new NotRetryable('download', message, {
      hint: `free space in the file system of ${dirname(path)}`,
    });
  }

  #tooLarge(): NotRetryable {
    const message = `${shownUrl(this.#what.url)} is larger than ${this.#what.maxBytes} bytes`;
    return new NotRetryable('download', message);
  }

  #error(why: string): ComputeError {
    return new ComputeError('download', `${shownUrl(this.#what.url)} cannot be used: ${why}`);
  }
}

/** A weak one does not promise the same bytes. */
const strongEtag = ({ etag }: IncomingHttpHeaders): string | null =>
  etag?.startsWith('"') === true ? etag : null;

/** Without a login and a query, which may hold a secret. */
export function shownUrl(text: string): string {
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host}${pathname}`;
}
