import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type Server, type Socket, createServer } from 'node:net';
import { join } from 'node:path';
import { alarm, monotonicMs } from '../../core/clock.ts';
import { inline } from '../../core/errors.ts';
import type { Holder } from './holders.ts';

/** Below the directory of the sockets, which only the OS user can enter. */
export const leasePath = (runDir: string): string => join(runDir, 'front.sock');
/** What a command is told; anything else is the reason why not. */
export const awakeWord = 'awake';

/** For the line with which a command begins. */
const lineMs = 5000;
const lineBytes = 200;
const most = 200;

interface Woken {
  wake(who: string, signal: AbortSignal): Promise<void>;
  readonly usage: { byNamed(who: string): void };
}

/** Commands of compute-local that reach Postgres or compute_ctl past the front. Each has a connection here for as long as it needs
 *  them: that wakes the compute and keeps it awake, and needs neither a role nor room in Postgres. */
export class Leases {
  readonly #front: Woken;
  readonly #path: string;
  readonly #server: Server;
  readonly #held = new Map<Socket, { readonly who: string; readonly startMs: number }>();

  constructor(front: Woken, runDir: string) {
    this.#front = front;
    this.#path = leasePath(runDir);
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = most;
  }

  /** @throws the system's error */
  async listen(): Promise<void> {
    // Of an `up` that was killed: there is only one at a time.
    rmSync(this.#path, { force: true });
    this.#server.listen(this.#path);
    await once(this.#server, 'listening');
    this.#server.on('error', () => {});
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#held.keys()) socket.destroy();
    await closed;
  }

  get holders(): Holder[] {
    return [...this.#held.values()].map(({ who, startMs }) => ({
      kind: 'command',
      who,
      sinceMs: monotonicMs() - startMs,
    }));
  }

  #accept(socket: Socket): void {
    const over = new AbortController();
    const cancel = alarm(lineMs, () => socket.destroy());
    let line = '';
    this.#held.set(socket, { who: 'a command', startMs: monotonicMs() });
    socket.setEncoding('utf8').on('error', () => {});
    socket.on('data', (text: string) => {
      if (line.endsWith('\n')) return;
      line = (line + text).slice(0, lineBytes);
      if (line.length === lineBytes) line = `${line.slice(0, -1)}\n`;
      if (!line.endsWith('\n')) return;
      cancel();
      void this.#serve(socket, `compute-local ${line.trim()}`, over.signal);
    });
    socket.once('end', () => socket.end());
    socket.once('close', () => {
      cancel();
      over.abort();
      const held = this.#held.get(socket);
      this.#held.delete(socket);
      if (held !== undefined && line.endsWith('\n')) this.#front.usage.byNamed(held.who);
    });
  }

  async #serve(socket: Socket, who: string, signal: AbortSignal): Promise<void> {
    this.#held.set(socket, { who, startMs: monotonicMs() });
    try {
      await this.#front.wake(who, signal);
      this.#front.usage.byNamed(who);
      socket.write(`${awakeWord}\n`);
    } catch (error) {
      socket.end(`${inline(error)}\n`);
    }
  }
}
