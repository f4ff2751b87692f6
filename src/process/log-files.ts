import { lstat, mkdir, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { never } from '../core/abort.ts';
import { alarm, within } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import { LineQueue } from '../core/line-queue.ts';
import type { Log, LoggedLine } from '../core/log.ts';
import { LogFile } from './log-file.ts';

export interface LogFilesOptions {
  readonly directory: string;
  /** The first fields of each line after its time: who has written it. */
  readonly ids: { readonly pg_instance_id: string; readonly pg_compute_id: string };
  /** Bytes of one file; what comes later on that day is on stderr alone. */
  readonly maxBytes?: number;
  /** Milliseconds until the next try after a failure. */
  readonly retryMs?: number;
  readonly now?: () => Date;
}

/** Characters that wait at most while a file cannot be written. */
const maxQueuedChars = 2 * 1024 * 1024;
const maxBytes = 256 * 1024 * 1024;
const retryMs = 10_000;
/** How long the end of the process waits for the last lines. */
const endMs = 1000;
const ownName = /^pgcctl\.\d{4}-\d{2}-\d{2}$/;

/** Copies of the log in files of a directory, one for each day, two at most: `pgcctl.2026-01-05`. Lines of JSON in the form that
 *  PostgreSQL's own log has there, so that one program can read both. Nobody waits for them. What fails is logged once, and tried
 *  again; stderr has every line.
 *  @see https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-JSONLOG */
export class LogFiles {
  readonly #options: LogFilesOptions;
  readonly #queue = new LineQueue(maxQueuedChars);
  #unwritten: Buffer = Buffer.alloc(0);
  /** What came before it is in the file. */
  #isPartly = false;
  /** A line came since the queue was last emptied. */
  #hasMore = false;
  #file: LogFile | null = null;
  #log: Log | null = null;
  #writing: Promise<void> | null = null;
  #cancelRetry: (() => void) | null = null;
  #said: string | null = null;

  constructor(options: LogFilesOptions) {
    this.#options = options;
  }

  /** Lines before `begin` wait. */
  readonly add = ({ severity, time, text }: LoggedLine): void => {
    this.#queue.add(this.#lineOf(severity, time, text));
    this.#hasMore = true;
    this.#wake();
  };

  /** Opens the first file: to call as the user that the files belong to.
   *  @param log hears of what is wrong */
  begin(log: Log): void {
    this.#log = log;
    this.#wake();
  }

  /** Writes what waits, for 1000 ms at most. */
  async end(): Promise<void> {
    if (this.#cancelRetry !== null) this.#retryNow();
    await within(this.#emptied(), endMs, never);
    this.#cancelRetry?.();
  }

  async #emptied(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    await this.#file?.close();
    this.#file = null;
  }

  #wake(): void {
    if (this.#log === null || this.#writing !== null || this.#cancelRetry !== null) return;
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = null;
      if (this.#hasMore) this.#wake();
    });
  }

  #retryNow(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#wake();
  }

  /** Never rejects. */
  async #writeAll(): Promise<void> {
    try {
      for (;;) {
        if (this.#unwritten.length === 0) {
          this.#hasMore = false;
          this.#unwritten = Buffer.from(this.#queue.take(this.#notice));
        }
        if (this.#unwritten.length === 0) break;
        const file = await this.#today();
        if (file.bytes >= (this.#options.maxBytes ?? maxBytes)) {
          this.#dropAll();
          this.#say(`${file.name} is full (${file.bytes} bytes): what comes later today is on stderr alone`);
          break;
        }
        const written = await file.append(this.#unwritten, this.#isPartly);
        this.#unwritten = this.#unwritten.subarray(written);
        this.#isPartly = this.#unwritten.length > 0;
        if (this.#said !== null) this.#isWell();
      }
    } catch (error) {
      await this.#file?.close().catch(() => {});
      this.#file = null;
      this.#cancelRetry = alarm(this.#options.retryMs ?? retryMs, () => this.#retryNow());
      this.#say(`${explained(error)}: it is tried again, meanwhile the lines are on stderr alone`);
    }
  }

  #dropAll(): void {
    this.#queue.drop(this.#unwritten.toString('latin1').split('\n').length - 1);
    this.#queue.clear();
    this.#unwritten = Buffer.alloc(0);
    this.#isPartly = false;
  }

  async #today(): Promise<LogFile> {
    const name = `pgcctl.${this.#now().toISOString().slice(0, 10)}`;
    if (this.#file?.name === name) return this.#file;
    await this.#file?.close();
    this.#file = null;
    const { directory } = this.#options;
    await makeDirectory(directory);
    this.#file = await LogFile.open(join(directory, name), name);
    await this.#removeOld(name).catch((error: unknown) =>
      this.#log?.warn(`could not remove an old log file in ${directory}: ${explained(error)}`),
    );
    return this.#file;
  }

  /** All but the newest two. */
  async #removeOld(today: string): Promise<void> {
    const { directory } = this.#options;
    const earlier = (await readdir(directory)).filter((name) => ownName.test(name) && name !== today);
    for (const name of earlier.toSorted().slice(0, -1)) {
      const path = join(directory, name);
      if (!(await lstat(path)).isDirectory()) await unlink(path);
    }
  }

  readonly #notice = (count: number): string =>
    this.#lineOf('WARN', this.#now().toISOString(), `${count} log lines are missing here; stderr has them`);

  #lineOf(severity: string, time: string, message: string): string {
    const timestamp = time.replace('T', ' ').replace('Z', ' GMT');
    const from = { file_name: 'compute_ctl', backend_type: 'compute_ctl_self', ...this.#options.ids };
    return JSON.stringify({ timestamp, error_severity: severity, ...from, message });
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date();
  }

  /** Once for each thing that is wrong. */
  #say(what: string): void {
    if (this.#said === what) return;
    this.#said = what;
    this.#log?.warn(`log files in ${this.#options.directory}: ${what}`);
  }

  #isWell(): void {
    this.#said = null;
    this.#log?.info(`log files in ${this.#options.directory} are written again`);
  }
}

/** With its parents. Node's own way (`recursive`) never ends where a directory cannot be made for want of its parent, as in /proc. */
async function makeDirectory(path: string): Promise<void> {
  const make = (): Promise<boolean> =>
    mkdir(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return true;
        if (error.code === 'ENOENT' && dirname(path) !== path) return false;
        throw error;
      },
    );
  if (await make()) return;
  await makeDirectory(dirname(path));
  await mkdir(path);
}
