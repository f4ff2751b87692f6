import { createHash } from 'node:crypto';
import { withDeadline } from '../../core/clock.ts';
import { explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { TlsFiles, TlsPair } from '../../postgres/tls.ts';
import { readSmallByLink } from '../../process/regular-file.ts';

/** Milliseconds for each of them. */
const limitMs = 15_000;

/** Makes a program read the TLS files again, and resolves when it has. */
export type ReadAgain = (signal: AbortSignal) => Promise<void>;

interface Reader {
  readonly name: string;
  readonly readAgain: ReadAgain;
  /** Digest of the pair that it has; null: none, or it failed to read the last one. */
  has: string | null;
}

/** The programs that read the TLS key and certificate, each for itself: Postgres, pgbouncer, local_proxy. */
export class TlsReaders {
  readonly #log: Log;
  readonly #files: TlsFiles | null;
  readonly #readers = new Set<Reader>();

  /** @param files that they read */
  constructor(log: Log, files: TlsFiles | null) {
    this.#log = log;
    this.#files = files;
  }

  /** Whoever is added reads the files now: it is told of each pair that comes later, also while the start still waits.
   *  @param name of the program, for messages
   *  @param pair that it has, where that is not the one in the files
   *  @returns ends it */
  add(name: string, readAgain: ReadAgain, pair?: TlsPair | null): () => void {
    const has = pair === undefined ? digestOfFiles(this.#files) : pair && digestOf(pair);
    const reader = { name, readAgain, has };
    this.#readers.add(reader);
    return () => void this.#readers.delete(reader);
  }

  /** Somebody does not have this pair. */
  areBehind(pair: TlsPair): boolean {
    const digest = digestOf(pair);
    return [...this.#readers].some(({ has }) => has !== digest);
  }

  /** Tells those that do not have the pair, at the same time.
   *  @param all tells the others, too
   *  @returns what went wrong, one text for each that failed
   *  @throws the reason of `signal` */
  async tell(pair: TlsPair, all: boolean, signal: AbortSignal): Promise<string[]> {
    const digest = digestOf(pair);
    const told = [...this.#readers].filter(({ has }) => all || has !== digest);
    const failures = await Promise.all(told.map((reader) => this.#tell(reader, digest, signal)));
    signal.throwIfAborted();
    return failures.filter((failure) => failure !== null);
  }

  async #tell(reader: Reader, digest: string, signal: AbortSignal): Promise<string | null> {
    const { name, readAgain } = reader;
    try {
      await withDeadline(`reading the TLS files again, by ${name},`, limitMs, signal, readAgain);
      reader.has = digest;
      this.#log.debug(`${name} has the new TLS certificate`);
      return null;
    } catch (error) {
      reader.has = null;
      return `${name} does not have the new TLS certificate: ${explained(error)}`;
    }
  }
}

const digestOf = ({ key, cert }: Pick<TlsPair, 'key' | 'cert'>): string => digest(key.reveal(), cert);

const digest = (key: string, cert: string): string =>
  createHash('sha256').update(`${key}\0${cert}`).digest('base64');

/** Null: they cannot be read. */
function digestOfFiles(files: TlsFiles | null): string | null {
  if (files === null) return null;
  try {
    return digest(readSmallByLink(files.keyPath), readSmallByLink(files.certPath));
  } catch {
    return null;
  }
}
