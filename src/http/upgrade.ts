import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { endWith } from './broken-request.ts';
import { requestId } from './exchange.ts';
import { checkLocal } from './local-only.ts';
import { readTarget } from './target.ts';

/** How a server handles requests for another protocol, such as WebSocket. They require no token. */
export interface Upgrade {
  /** The other protocol's path. Requests for it elsewhere are answered with 404. */
  readonly path: string;
  /** Takes the connection over: it answers the request, and closes the socket when it is done. */
  readonly take: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

interface UpgradeOptions {
  readonly upgrade?: Upgrade;
  /** See `checkLocal`. */
  readonly localOnly?: boolean;
}

/** The connections of a server that speak another protocol. */
export class Upgraded {
  readonly #upgrade: Upgrade | undefined;
  readonly #localOnly: boolean;
  readonly #isClosing: () => boolean;
  readonly #open = new Map<Duplex, Promise<void>>();

  constructor({ upgrade, localOnly = false }: UpgradeOptions, isClosing: () => boolean) {
    this.#upgrade = upgrade;
    this.#localOnly = localOnly;
    this.#isClosing = isClosing;
  }

  serve(server: Server): void {
    const upgrade = this.#upgrade;
    if (upgrade === undefined) return;
    server.on('upgrade', (request, socket, head) => this.#take(upgrade, request, socket, head));
  }

  get size(): number {
    return this.#open.size;
  }

  /** Resolves when those that are open now are closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#open.values());
  }

  cut(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #take(upgrade: Upgrade, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#open.set(socket, closed);
    void closed.then(() => this.#open.delete(socket));
    (socket as Socket).setTimeout(0); // The limit of the server is for HTTP.
    socket.on('error', () => {}); // The client broke the connection; 'close' follows.
    const refused = this.#refusal(upgrade, request);
    if (refused === null) upgrade.take(request, socket, head);
    else endWith(socket, refused, requestId(request.headers['x-request-id']));
  }

  #refusal({ path }: Upgrade, request: IncomingMessage): number | null {
    if (this.#isClosing()) return 503;
    if (this.#localOnly && !isLocal(request)) return 403;
    return pathOf(request) === path ? null : 404;
  }
}

function isLocal(request: IncomingMessage): boolean {
  try {
    checkLocal(request);
    return true;
  } catch {
    return false;
  }
}

/** Null for a target that cannot be read. */
function pathOf(request: IncomingMessage): string | null {
  try {
    return readTarget(request).path;
  } catch {
    return null;
  }
}
