/** Characters of one write. */
const maxTakenChars = 64 * 1024;

/** A line that says how many lines are missing. @param next the line after it, if there is one */
export type Notice = (dropped: number, next: string | undefined) => string;

/** Lines that wait for a slow reader. When they are too many, the oldest are dropped and counted. */
export class LineQueue {
  readonly #maxChars: number;
  #lines: string[] = [];
  #first = 0;
  #chars = 0;
  #dropped = 0;
  #reported = 0;
  /** Of the last `take`: its lines, and what had been reported before it. */
  #taken = { lines: 0, reported: 0 };

  /** @param maxChars of all lines that wait, in UTF-16 units */
  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  /** Lines that were dropped so far. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Counts lines that were taken last and then not written. A notice among them is given again. */
  drop(lines: number): void {
    if (lines > this.#taken.lines) this.#reported = this.#taken.reported;
    this.#dropped += Math.min(lines, this.#taken.lines);
  }

  add(line: string): void {
    this.#lines.push(line);
    this.#chars += line.length + 1;
    this.keepNewest(this.#maxChars);
  }

  /** Drops the oldest lines until the others fit; the newest one always stays. */
  keepNewest(maxChars: number): void {
    while (this.#chars > maxChars && this.#first < this.#lines.length - 1) {
      this.#shift();
      this.#dropped++;
    }
  }

  /** Takes the oldest lines, each with its end: one write's worth. Where lines are missing, `notice` says how many. */
  take(notice: Notice): string {
    let text = '';
    const [before, reported] = [this.#lines.length - this.#first, this.#reported];
    if (this.#dropped > this.#reported) {
      text = `${notice(this.#dropped - this.#reported, this.#lines[this.#first])}\n`;
      this.#reported = this.#dropped;
    }
    while (this.#first < this.#lines.length && text.length < maxTakenChars) text += `${this.#shift()}\n`;
    this.#taken = { lines: before - (this.#lines.length - this.#first), reported };
    return text;
  }

  /** Drops everything, and counts it. */
  clear(): void {
    this.#dropped += this.#lines.length - this.#first;
    this.#lines = [];
    this.#first = this.#chars = 0;
  }

  #shift(): string {
    const line = this.#lines[this.#first] as string;
    this.#lines[this.#first++] = '';
    this.#chars -= line.length + 1;
    // Moving the rest is worth it only once half of the array is empty.
    if (this.#first > 1024 && this.#first * 2 > this.#lines.length) {
      this.#lines = this.#lines.slice(this.#first);
      this.#first = 0;
    }
    return line;
  }
}
