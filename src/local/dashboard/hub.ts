import { Readable } from 'node:stream';
import type { MessageName, Messages } from './model.ts';
import { Ring, messageText } from './ring.ts';

/** Pages that are open at once. */
const mostClients = 8;
/** Those of one browser, which has six connections to a server: the last one is for actions. */
const mostOfViewer = 5;
/** Of what a client has not taken yet: one that is slower is dropped, and comes back with what it has seen. */
const mostPendingBytes = 2 * 1024 * 1024;
/** About ten minutes. */
const kept = { messages: 600, bytes: 4 * 1024 * 1024 };

/** Who is sent messages: a session. */
export interface Viewer {
  readonly isOpen: () => boolean;
}

export interface HubOptions {
  /** All that a new client needs. */
  readonly full: () => Messages['full'];
  /** Called when a client has come or gone. */
  readonly changed: () => void;
}

/** Sends messages to all clients. */
export class Hub {
  readonly #options: HubOptions;
  readonly #ring = new Ring(kept);
  readonly #clients = new Map<Readable, Viewer>();

  constructor(options: HubOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** The body of an answer, which ends when the viewer may see no more; null when there are too many already.
   *  @param lastId what the client has seen last */
  open(viewer: Viewer, lastId: string | undefined): Readable | null {
    const own = [...this.#clients.values()].filter((one) => one === viewer).length;
    if (this.#clients.size >= mostClients || own >= mostOfViewer) return null;
    const client = new Readable({ read() {}, encoding: 'utf8' });
    const missed = lastId === undefined ? null : this.#ring.since(lastId);
    const first = missed ?? [messageText(this.#ring.lastId, 'full', this.#options.full())];
    client.push(`retry: 1000\n\n${first.join('')}`);
    this.#clients.set(client, viewer);
    client.once('close', () => {
      this.#clients.delete(client);
      this.#options.changed();
    });
    this.#options.changed();
    return client;
  }

  publish<N extends MessageName>(name: N, data: Messages[N]): void {
    this.#send(this.#ring.add(name, data));
  }

  /** Lets clients and servers see that the other side is still there. */
  beat(): void {
    this.#send(':\n\n');
  }

  /** The last message, and the end of every answer. */
  end(data: Messages['ended']): void {
    this.publish('ended', data);
    for (const client of this.#clients.keys()) client.push(null);
    this.#clients.clear();
  }

  #send(text: string): void {
    for (const [client, viewer] of this.#clients) {
      if (!viewer.isOpen()) {
        client.push(null);
        this.#clients.delete(client);
      } else if (client.readableLength + text.length > mostPendingBytes) client.destroy();
      else client.push(text);
    }
  }
}
