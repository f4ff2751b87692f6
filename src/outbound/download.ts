import { type FileHandle, open } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
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
  /** Milliseconds without a byte after which the connection is given up. */
  readonly idleMs: number;
  /** With proxies. */
  readonly env: NodeJS.ProcessEnv;
  /** Called once for each request with `200 OK` or the like, `unknown` when there was no answer. */
  readonly onAttempt: (httpStatus: string) => void;
  /** The message for an answer that is no success. */
  readonly refusal: (answer: Pick<OutboundAnswer, 'status' | 'statusLine'>) => string;
}

const redirects = 10;
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
  /** Names this version of the file; null: the server cannot tell whether it has changed. */
  #etag: string | null = null;
  #digests: readonly GivenDigest[] = [];

  constructor(what: Download, file: FileHandle) {
    this.#what = what;
    this.#file = file;
  }

  async attempt(signal: AbortSignal): Promise<number> {
    const { url, env, onAttempt } = this.#what;
    const range = this.#at > 0 && this.#etag !== null;
    const headers = range ? { range: `bytes=${this.#at}-`, 'if-range': this.#etag as string } : {};
    let httpStatus = 'unknown';
    try {
      await exchange({ method: 'GET', url, headers, redirects, signal, env }, async (answer) => {
        httpStatus = answer.statusLine;
        await this.#begin(answer);
        await this.#take(answer.body, signal);
      });
    } finally {
      onAttempt(httpStatus);
    }
    const wrong = await wrongDigest(this.#what.path, this.#digests, signal);
    if (wrong === null) return this.#at;
    this.#etag = null;
    throw this.#error(`its ${wrong.algorithm} is not the one of the header ${wrong.header}`);
  }

  async #begin(answer: OutboundAnswer): Promise<void> {
    const { status, headers } = answer;
    const { maxBytes, refusal } = this.#what;
    if (status === 206) {
      if (new RegExp(`^bytes ${this.#at}-\\d+/`).test(headers['content-range'] ?? '')) return;
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
    if (Number(headers['content-length'] ?? 0) > maxBytes) throw this.#tooLarge();
  }

  async #take(body: Readable, signal: AbortSignal): Promise<void> {
    const { idleMs, maxBytes } = this.#what;
    const over = linked(signal);
    let heardMs = monotonicMs();
    const watching = untilQuiet(() => heardMs, idleMs, over.signal).then(
      () => void body.destroy(tookTooLong('waiting for more of the file', idleMs)),
      () => {},
    );
    try {
      for await (const piece of body as AsyncIterable<Buffer>) {
        heardMs = monotonicMs();
        if (this.#at + piece.length > maxBytes) throw this.#tooLarge();
        await this.#file.write(piece, 0, piece.length, this.#at);
        this.#at += piece.length;
      }
    } finally {
      over.abort();
      over.release();
      await watching;
    }
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
