import { join } from 'node:path';
import type { StatusReport } from '../status/schema.ts';
import { LogTail } from './log-tail.ts';
import { logLine, noHistory, storageLog, withLines } from './log-lines.ts';
import type { History, LogLine, LogNews } from './model.ts';

const mostLines = 400;

interface Followed {
  readonly tail: LogTail;
  lines: readonly LogLine[];
  history: History;
}

/** The logs of all computes and of the storage, by the name of the compute. */
export class Logs {
  readonly #followed = new Map<string, Followed>();

  /** Follows what the report names. */
  follow({ computes }: StatusReport): void {
    for (const { name, log_dir } of computes) this.#add(name, join(log_dir, 'compute_ctl.log'));
    const main = computes[0];
    if (main !== undefined) this.#add(storageLog, join(main.log_dir, 'storage.log'));
  }

  #add(name: string, path: string): void {
    if (!this.#followed.has(name))
      this.#followed.set(name, { tail: new LogTail(path), lines: [], history: noHistory });
  }

  /** Reads on. @returns what is new */
  read(): LogNews[] {
    const news: LogNews[] = [];
    for (const [name, one] of this.#followed) {
      const texts = one.tail.read();
      if (texts.length === 0) continue;
      one.history = withLines(one.history, texts);
      const lines = texts.slice(-mostLines).map(logLine);
      one.lines = [...one.lines, ...lines].slice(-mostLines);
      news.push({ name, lines });
    }
    return news;
  }

  lines(): Readonly<Record<string, readonly LogLine[]>> {
    return Object.fromEntries([...this.#followed].map(([name, { lines }]) => [name, lines]));
  }

  history(): Readonly<Record<string, History>> {
    return Object.fromEntries([...this.#followed].map(([name, { history }]) => [name, history]));
  }
}
