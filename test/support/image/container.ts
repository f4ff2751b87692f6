import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { firstProcess } from '../first-process.ts';
import { eventually } from '../program.ts';
import type { Image } from './base.ts';
import { enter } from './replay.ts';
import { asUser, userIn } from './user.ts';

export interface RunOptions {
  /** In place of the image's. */
  readonly user?: string;
  readonly cmd?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly readOnly?: boolean;
  readonly dropAll?: boolean;
  /** Of /dev/shm. */
  readonly shm?: string;
  /** Directories of this machine, or `tmpfs`, by where they are in the container. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** The network of this machine in place of one of its own. */
  readonly hostNetwork?: boolean;
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Container {
  /** Of its process 1, as this machine counts. */
  readonly pid: number;
  output(): string;
  ended(): boolean;
  /** As `docker exec`. */
  exec(...command: string[]): Ran;
  /** The same, without waiting for its end; it is given `input`. */
  start(input: string, ...command: string[]): ChildProcessWithoutNullStreams;
  /** The image's health check, run in it. */
  healthcheck(): Ran;
  signal(name: NodeJS.Signals): void;
  /** Sends the stop signal of the image. Resolves with the exit code. */
  stop(): Promise<number>;
  exited(limitMs?: number): Promise<number>;
  /** With all that runs in it. */
  kill(): Promise<void>;
}

/** Which become one another before the program of the image. */
const beforeIt = ['sh', 'mount', 'chroot', 'env', 'setpriv'];

/** Runs an image as an engine does, in mount, PID and network namespaces of its own, without an engine. */
export async function runImage({ root, config }: Image, options: RunOptions = {}): Promise<Container> {
  const { user = config.user, cmd = config.cmd, entrypoint = config.entrypoint, mounts = {} } = options;
  const env = { HOME: userIn(root, user === '' ? '0' : user).home, ...config.env, ...options.env };
  const environment = [
    'env',
    '-i',
    '-C',
    config.workdir,
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
  ];
  const inside = [...environment, ...asUser(root, user, options.dropAll)];
  const mounted = Object.entries(mounts).map(([to, from]) => `${from}:${to}`);
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', ...(options.hostNetwork ? [] : ['--net'])];
  const child = spawn(
    'unshare',
    [
      ...namespaces,
      '--fork',
      '--kill-child',
      'sh',
      enter,
      root,
      options.readOnly ? 'ro' : 'rw',
      options.shm ?? '64m',
      ...mounted,
      '--',
      ...inside,
      ...entrypoint,
      ...cmd,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...(options.hostNetwork ? {} : { OWN_NETWORK: 'yes' }) },
    },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const pid = await firstProcess(child, () => text, beforeIt);
  const beside = ['--target', String(pid), '--all', '--root', '--wd=/', ...inside];
  const exec = (...command: string[]): Ran =>
    spawnSync('nsenter', [...beside, ...command], { encoding: 'utf8', timeout: 120_000 });
  const exited = (limitMs = 120_000): Promise<number> =>
    eventually('the end', () => child.exitCode ?? undefined, limitMs).catch((error: unknown) => {
      throw new Error(text, { cause: error });
    });
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const signal = (name: NodeJS.Signals): void => void process.kill(pid, name);
  return {
    pid,
    output: () => text,
    ended,
    exec,
    start(input, ...command) {
      const other = spawn('nsenter', [...beside, ...command]);
      other.stdin.on('error', () => {}); // it has ended before it has read everything
      other.stdin.end(input);
      return other;
    },
    healthcheck: () => exec(...(config.healthcheck?.command ?? ['false'])),
    signal,
    exited,
    stop() {
      signal(config.stopSignal as NodeJS.Signals);
      return exited();
    },
    async kill() {
      // `unshare` ends when nothing of the namespace is left.
      if (!ended()) signal('SIGKILL');
      await eventually('the end', () => ended() || undefined);
    },
  };
}
