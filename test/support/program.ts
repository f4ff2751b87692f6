import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

export interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Everything it wrote, for messages of failing tests. */
  output(): string;
  /** Exit code, or the name of the signal that ended it. Rejects when it takes longer than `limitMs`. */
  exited(limitMs?: number): Promise<number | NodeJS.Signals>;
  kill(signal: NodeJS.Signals): void;
}

export const programFile = (name: string): string => join(dist, `${name}.js`);

type Name = 'compute_ctl' | 'compute-local' | 'vm-monitor';

/** Where the single executable is; then it is started in place of what is in dist. */
export const executableVariable = 'COMPUTE_TEST_EXECUTABLE';
/** Another Node than this one for the programs. */
const nodeVariable = 'COMPUTE_TEST_NODE';

interface Start {
  readonly command: readonly string[];
  readonly argv0?: string;
  readonly env: NodeJS.ProcessEnv;
}

function startOf(name: Name, args: readonly string[], env: NodeJS.ProcessEnv): Start {
  const executable = process.env[executableVariable];
  // It needs nothing of the environment.
  if (executable !== undefined) return { command: [executable, ...args], argv0: name, env };
  const file = programFile(name);
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`npm run build\` first`);
  const node = process.env[nodeVariable] ?? process.execPath;
  return { command: [node, file, ...args], env: { ...process.env, ...env } };
}

/** Starts one of the built programs, as its users do. `kill('SIGKILL')` it in a finally: `exited` alone leaves it behind. */
export function startProgram(
  name: Name,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stderrTo: 'pipe' | number = 'pipe',
  /** What the shell does before it becomes the program, such as `ulimit -n 1024`. */
  before = '',
): Program {
  const { command, argv0, env: whole } = startOf(name, args, env);
  const shell = ['bash', '-c', `${before}; exec -a "$0" "$@"`, argv0 ?? command[0], ...command];
  const [start, ...rest] = (before === '' ? command : shell) as [string, ...string[]];
  const child = spawn(start, rest, {
    stdio: ['ignore', 'pipe', stderrTo],
    env: whole,
    cwd: '/',
    ...(argv0 === undefined || before !== '' ? {} : { argv0 }),
  });
  return watched(child, name);
}

/** Reads what a program writes, and waits for its end.
 *  @param name for messages */
export function watched(child: ChildProcess, name: string): Program {
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = new Promise((resolve) => child.once('close', resolve));
  const ended = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once('exit', (code, signal) => {
      // Its last words are still on their way; a Postgres that outlives it keeps the pipes open, though.
      const result = (): void => resolve(code ?? signal ?? -1);
      void Promise.race([closed, new Promise((wait) => setTimeout(wait, 300))]).then(result);
    }),
  );
  const output = (): string => `--- stdout\n${stdout}\n--- stderr\n${stderr}`;
  return {
    child,
    pid: child.pid ?? -1,
    stdout: () => stdout,
    stderr: () => stderr,
    output,
    exited: (limitMs = 100_000) =>
      within(ended, limitMs, () => `${name} did not exit in ${limitMs} ms\n${output()}`),
    kill: (signal) => void child.kill(signal),
  };
}

async function within<T>(promise: Promise<T>, ms: number, message: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message())), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks every 20 ms until `probe` gives something other than undefined; its last error is the reason of a failure. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  limitMs = 60_000,
): Promise<T> {
  let last: unknown;
  for (const end = performance.now() + limitMs; performance.now() < end;) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what}: not within ${limitMs} ms`, { cause: last });
}
