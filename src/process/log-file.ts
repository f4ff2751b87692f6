import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;

/** One file of a log, which grows. All work is done by threads beside the event loop. */
export class LogFile {
  readonly name: string;
  readonly #handle: FileHandle;
  #bytes: number;
  /** What was written last does not end a line. */
  #midLine: boolean;

  private constructor(name: string, handle: FileHandle, bytes: number, midLine: boolean) {
    this.name = name;
    this.#handle = handle;
    this.#bytes = bytes;
    this.#midLine = midLine;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Opens it, or creates it; others may read it. A line that a killed process has left unfinished is ended.
   *  @throws Error for what somebody else has put in its place: links, fifos, directories, a file of another user; the system's error */
  static async open(path: string, name: string): Promise<LogFile> {
    const handle = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o644);
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw new Error(`${path} is not a file`);
      if (found.nlink !== 1) throw new Error(`${path} has another name, too`);
      if (found.uid !== process.geteuid?.()) throw new Error(`${path} belongs to another user`);
      const last = Buffer.alloc(1);
      if (found.size > 0) await handle.read(last, 0, 1, found.size - 1);
      return new LogFile(name, handle, found.size, found.size > 0 && last[0] !== lineFeed);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** @param continues the line that was written in part before
   *  @returns the bytes that were written; fewer than given when the disk is full
   *  @throws the system's error when there were none */
  async append(lines: Buffer, continues: boolean): Promise<number> {
    if (this.#midLine && !continues) await this.#write(Buffer.from('\n'));
    return this.#write(lines);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #write(bytes: Buffer): Promise<number> {
    const { bytesWritten } = await this.#handle.write(bytes);
    this.#bytes += bytesWritten;
    if (bytesWritten > 0) this.#midLine = bytes[bytesWritten - 1] !== lineFeed;
    return bytesWritten;
  }
}

const lineFeed = 0x0a;
