import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from './program.ts';

export interface Told {
  /** As the kernel vouches for it. */
  readonly uid: number;
  readonly pid: number;
  readonly variables: Readonly<Record<string, string>>;
}

export interface NotifySocket {
  readonly path: string;
  /** Everything that was sent so far. */
  readonly told: readonly Told[];
  /** Waits for a message with this variable, after those that were `seen`. */
  heard(name: string, value?: string | RegExp, seen?: number): Promise<Told>;
  stop(): void;
}

/** systemd's socket, which Node cannot open: datagrams with credentials. Needs Python. */
export async function notifySocket(dir: string): Promise<NotifySocket> {
  const path = join(dir, 'notify');
  const script = fileURLToPath(new URL('notify-socket.py', import.meta.url));
  const child = spawn('python3', [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: Record<string, unknown>[] = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const all = (rest + text).split('\n');
    rest = all.pop() ?? '';
    for (const line of all) lines.push(JSON.parse(line) as Record<string, unknown>);
  });
  const told = (): Told[] => lines.slice(1) as unknown as Told[];
  await eventually('the socket', () => (lines.length > 0 ? true : undefined));
  return {
    path,
    get told() {
      return told();
    },
    heard: (name, value = /^/, seen = 0) =>
      eventually(`${name}=${String(value)}`, () =>
        told()
          .slice(seen)
          .find(({ variables }) => {
            const found = variables[name];
            return found !== undefined && (typeof value === 'string' ? found === value : value.test(found));
          }),
      ).catch((error: unknown) => {
        throw new Error(`heard only ${JSON.stringify(told())}`, { cause: error });
      }),
    stop: () => {
      child.kill('SIGKILL');
      rmSync(path, { force: true });
    },
  };
}
