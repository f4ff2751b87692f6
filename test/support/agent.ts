import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { scratchDir } from './cluster.ts';

/** A control group hierarchy in a plain directory, as the vm-monitor reads it. */
export interface FakeHierarchy {
  readonly root: string;
  readonly group: string;
  /** What Postgres uses, in bytes. */
  use(bytes: number): void;
  /** What the guest has, in bytes. */
  total(bytes: number): void;
  remove(): void;
}

export function fakeHierarchy(totalBytes: number): FakeHierarchy {
  const root = scratchDir('cgroup');
  const group = join(root, 'neon-postgres');
  mkdirSync(group);
  writeFileSync(join(root, 'cgroup.controllers'), 'cpuset cpu io memory pids\n');
  writeFileSync(join(root, 'memory.current'), '1\n');
  const put = (path: string, text: string): void => {
    // As in the kernel, no reader ever sees half of it.
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  const fake: FakeHierarchy = {
    root,
    group,
    use(given) {
      const bytes = Math.round(given);
      const shared = Math.floor(bytes / 3);
      const text = `anon ${bytes - shared}\nfile 987654321\nactive_anon ${bytes - shared}\ninactive_anon ${shared}\n`;
      put(join(group, 'memory.stat'), text);
    },
    total: (bytes) => put(join(root, 'memory.max'), `${Math.round(bytes)}\n`),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
  fake.use(0);
  fake.total(totalBytes);
  return fake;
}

export interface FromMonitor {
  readonly type: string;
  readonly id: number;
  readonly Ok?: boolean;
  readonly Status?: string;
  readonly error?: string;
  /** When it arrived, by performance.now(). */
  readonly atMs: number;
}

const requestMs = 5000;
const bookKeepingMs = 200;

/** One connection of the autoscaler agent, with the rules that it holds the monitor to: ids and their parity, time limits,
 *  what fails a request and what ends the connection. Whatever breaks a rule is kept in `complaints`. */
export class Agent {
  readonly socket: WebSocket;
  readonly upscaleRequests: FromMonitor[] = [];
  readonly all: FromMonitor[] = [];
  readonly complaints: string[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  hello: unknown = null;
  #id = 0;
  #helloAtMs = Infinity;
  readonly #pending = new Map<number, (message: FromMonitor) => void>();

  constructor(port: number, range: string = '{"min":1,"max":1}\n') {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/monitor`);
    this.closed = new Promise((resolve) =>
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    );
    this.socket.on('error', (error) => this.complaints.push(error.message));
    this.socket.once('open', () => this.socket.send(range));
    this.socket.on('message', (data) => this.#take((data as Buffer).toString('utf8')));
  }

  /** Connects and shakes hands, within the agent's 4 seconds. */
  static async connect(port: number): Promise<Agent> {
    const agent = new Agent(port);
    const greeted = new Promise<void>((resolve) => agent.socket.once('message', () => resolve()));
    await inTime('dial and hand-shake', 4000, Promise.race([greeted, agent.closed]));
    if (JSON.stringify(agent.hello) !== '{"version":1}')
      throw new Error(`hand-shake: ${String(agent.hello)}`);
    return agent;
  }

  upscaled(mem: number): Promise<FromMonitor> {
    return this.request('UpscaleNotification', { granted: { cpu: 0.5, mem } });
  }

  mayDownscale(mem: number): Promise<FromMonitor> {
    return this.request('DownscaleRequest', { target: { cpu: 0.25, mem } });
  }

  healthCheck(): Promise<FromMonitor> {
    return this.request('HealthCheck', {});
  }

  /** Sends a request and resolves with the answer; rejects when the request failed, as the agent sees it. */
  async request(type: string, content: object): Promise<FromMonitor> {
    this.#id += 2;
    const id = this.#id;
    const answered = new Promise<FromMonitor>((resolve) => this.#pending.set(id, resolve));
    this.socket.send(`${JSON.stringify({ content, type, id })}\n`);
    const answer = await inTime(type, requestMs, Promise.race([answered, this.closed]));
    this.#pending.delete(id);
    if ('code' in answer) throw new Error(`${type}: connection closed (${answer.code} ${answer.reason})`);
    if (answer.type === 'InternalError' || answer.type === 'InvalidMessage')
      throw new Error(`${answer.type}: ${answer.error}`);
    return answer;
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }

  #take(text: string): void {
    if (Buffer.byteLength(text) >= 32_768) return this.#breakOff('message too long');
    const message = parse(text);
    if (message === null) return this.#breakOff(`not JSON: ${text}`);
    if (this.hello === null) {
      this.hello = message;
      this.#helloAtMs = performance.now();
      return;
    }
    const { type, id } = message;
    if (typeof type !== 'string' || typeof id !== 'number') return this.#breakOff(`no type or id: ${text}`);
    const received = { ...message, atMs: performance.now() };
    this.all.push(received);
    switch (type) {
      case 'UpscaleRequest':
        if (id % 2 === 0) this.complaints.push(`even id of an own message: ${text}`);
        if (performance.now() - this.#helloAtMs < bookKeepingMs && this.#id === 0)
          this.complaints.push('UpscaleRequest before the book-keeping: the worker would crash');
        return void this.upscaleRequests.push(received);
      case 'UpscaleConfirmation':
      case 'DownscaleResult':
      case 'HealthCheck':
      case 'InternalError':
      case 'InvalidMessage': {
        const resolve = this.#pending.get(id);
        if (resolve !== undefined) return resolve(received);
        if (type !== 'InvalidMessage') this.#invalid(id, `no request with id ${id} is pending`);
        return;
      }
      default:
        return this.#invalid(id, `unknown type ${type}`);
    }
  }

  #invalid(id: number, error: string): void {
    this.complaints.push(error);
    this.socket.send(JSON.stringify({ content: { error }, type: 'InvalidMessage', id }));
  }

  #breakOff(why: string): void {
    this.complaints.push(why);
    this.socket.close(1002, 'protocol error');
  }
}

/** Keeps one connection after the other until `signal` aborts: at once when the last one lived longer than `againMs`,
 *  else that long after it began. The agent's own value is 5000. */
export async function stayConnected(
  port: number,
  againMs: number,
  onConnected: (agent: Agent) => void,
  signal: AbortSignal,
): Promise<number> {
  for (let tries = 1; ; tries++) {
    const startMs = performance.now();
    const agent = await Agent.connect(port).catch(() => null);
    if (agent !== null) {
      signal.addEventListener('abort', () => agent.socket.close());
      onConnected(agent);
      await agent.closed;
    }
    if (signal.aborted) return tries;
    const leftMs = startMs + againMs - performance.now();
    if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
  }
}

function parse(text: string): FromMonitor | null {
  try {
    return JSON.parse(text) as FromMonitor;
  } catch {
    return null;
  }
}

async function inTime<T>(what: string, ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer in ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
