import { withDeadline } from '../../core/clock.ts';
import { explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';

/** Milliseconds for each of them. */
const limitMs = 15_000;

/** Makes a program read the TLS files again, and resolves when it has. */
export type ReadAgain = (signal: AbortSignal) => Promise<void>;

interface Reader {
  readonly name: string;
  readonly readAgain: ReadAgain;
  /** It failed the last time, so it is told again. */
  failed: boolean;
}

/** The programs that read the TLS key and certificate, each for itself: Postgres, pgbouncer, local_proxy. */
export class TlsReaders {
  readonly #log: Log;
  readonly #readers = new Set<Reader>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Whoever is added has read the files already: it is told of the next renewal.
   *  @param name of the program, for messages
   *  @returns ends it */
  add(name: string, readAgain: ReadAgain): () => void {
    const reader = { name, readAgain, failed: false };
    this.#readers.add(reader);
    return () => void this.#readers.delete(reader);
  }

  /** Somebody failed the last time. */
  get areBehind(): boolean {
    return [...this.#readers].some(({ failed }) => failed);
  }

  /** Tells all of them at the same time; without a renewal, only those that failed the last time.
   *  @returns what went wrong, one text for each that failed
   *  @throws the reason of `signal` */
  async tell(renewed: boolean, signal: AbortSignal): Promise<string[]> {
    const told = [...this.#readers].filter(({ failed }) => renewed || failed);
    const failures = await Promise.all(told.map((reader) => this.#tell(reader, signal)));
    signal.throwIfAborted();
    return failures.filter((failure) => failure !== null);
  }

  async #tell(reader: Reader, signal: AbortSignal): Promise<string | null> {
    const { name, readAgain } = reader;
    try {
      await withDeadline(`reading the TLS files again, by ${name},`, limitMs, signal, readAgain);
      reader.failed = false;
      this.#log.debug(`${name} has the new TLS certificate`);
      return null;
    } catch (error) {
      reader.failed = true;
      return `${name} does not have the new TLS certificate: ${explained(error)}`;
    }
  }
}
