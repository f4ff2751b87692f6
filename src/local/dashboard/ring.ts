import { randomBytes } from 'node:crypto';
import type { MessageName, Messages } from './model.ts';

interface Kept {
  readonly number: number;
  readonly text: string;
}

export interface RingLimits {
  readonly messages: number;
  readonly bytes: number;
}

/** The last messages, for clients that come back. An id is that of this process and a number. */
export class Ring {
  readonly #limits: RingLimits;
  readonly #epoch = randomBytes(6).toString('hex');
  #kept: Kept[] = [];
  #bytes = 0;
  #last = 0;

  constructor(limits: RingLimits) {
    this.#limits = limits;
  }

  /** Of the newest message. */
  get lastId(): string {
    return `${this.#epoch}-${this.#last}`;
  }

  /** @returns the message as it is sent */
  add<N extends MessageName>(name: N, data: Messages[N]): string {
    this.#last++;
    const text = messageText(this.lastId, name, data);
    this.#kept.push({ number: this.#last, text });
    this.#bytes += text.length;
    while (this.#kept.length > this.#limits.messages || this.#bytes > this.#limits.bytes)
      this.#bytes -= this.#kept.shift()?.text.length ?? this.#bytes;
    return text;
  }

  /** The messages after the one with that id; null when some are missing, or it is not an id of ours. */
  since(id: string): string[] | null {
    const [epoch, number = ''] = id.split('-');
    if (epoch !== this.#epoch || !/^\d{1,15}$/.test(number)) return null;
    const from = Number(number);
    const oldest = this.#kept[0]?.number ?? this.#last + 1;
    if (from > this.#last || from < oldest - 1) return null;
    return this.#kept.filter((one) => one.number > from).map(({ text }) => text);
  }
}

/** One event. JSON has no line breaks.
 *  @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
export const messageText = <N extends MessageName>(id: string, name: N, data: Messages[N]): string =>
  `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
