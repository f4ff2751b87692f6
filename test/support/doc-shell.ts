import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { holdUsualPorts } from '../../scripts/local-storage.mjs';
import { freePort } from './cluster.ts';
import { killAllOf, processesIn } from './compute.ts';
import { type ShellBlock, missingLine } from './doc-blocks.ts';
import { type Installed, defaultPostgres, installedPostgres, osUser } from './postgres-versions.ts';
import { eventually, programFile } from './program.ts';
import { scratchDir } from './scratch.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const programs = ['compute_ctl', 'compute-local', 'vm-monitor'] as const;
const blockMs = 120_000;

interface Running {
  readonly child: ChildProcess;
  output(): string;
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** Runs the blocks of one page in their order, as an ordinary user in a checkout, with the built programs in PATH. Ports and the
 *  directories of PostgreSQL that the page names stand for free ones and for those of this machine. */
export async function runPage(blocks: readonly ShellBlock[], versions: Versions = {}): Promise<void> {
  const dir = checkout();
  const here = await thisMachine(blocks, versions);
  const background: Running[] = [];
  const release = await holdUsualPorts();
  try {
    for (const block of blocks) {
      if (block.how.kind === 'not-run') continue;
      const run = start(here(block.text), dir);
      if (block.how.kind === 'background') {
        background.push(run);
        await untilPrinted(run, here(block.how.until), block);
      } else await toItsEnd(run, block);
      if (block.prints !== null) await checkOutput(here(block.prints), run, block);
    }
    for (const run of background.toReversed()) await stop(run);
  } finally {
    for (const { child } of background) if (child.pid !== undefined) killGroup(child.pid, 'SIGKILL');
    killAllOf(dir);
    await eventually('nothing runs there', () => (processesIn(dir).length === 0 ? true : undefined));
    rmSync(dir, { recursive: true, force: true });
    release();
  }
}

/** A directory that looks like the repository: what blocks write stays in it. */
function checkout(): string {
  const dir = scratchDir('docs');
  for (const name of readdirSync(root)) {
    if (name !== '.git') symlinkSync(join(root, name), join(dir, name));
  }
  mkdirSync(join(dir, '.bin'));
  for (const name of programs) {
    const file = join(dir, '.bin', name);
    writeFileSync(file, `#!/bin/sh\nexec ${process.execPath} ${programFile(name)} "$@"\n`);
    chmodSync(file, 0o755);
  }
  return dir;
}

function start(text: string, dir: string): Running {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], {
    cwd: dir,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(osUser === null ? {} : osUser),
    env: {
      PATH: `${dir}/.bin:${defaultPostgres().bindir}:${process.env['PATH']}`,
      HOME: dir,
      LANG: 'C.UTF-8',
      COMPUTE_LOCAL_DIR: join(dir, 'data'),
      npm_config_update_notifier: 'false',
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const ended = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once('exit', (code, signal) => setTimeout(() => resolve(code ?? signal ?? -1), 100)),
  );
  return { child, output: () => output, ended };
}

const failed = (block: ShellBlock, run: Running, what: string): Error =>
  new Error(`the block at line ${block.line} ${what}\n${block.text}\n--- it printed\n${run.output()}`);

async function toItsEnd(run: Running, block: ShellBlock): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), blockMs)));
  const code = await Promise.race([run.ended, late]);
  clearTimeout(timer);
  if (code === 'late' && run.child.pid !== undefined) killGroup(run.child.pid, 'SIGKILL');
  if (code !== 0) throw failed(block, run, `ended with ${code}`);
}

async function untilPrinted(run: Running, text: string, block: ShellBlock): Promise<void> {
  const printed = (): boolean => run.output().includes(text);
  const done = (): true | undefined => (printed() || run.child.exitCode !== null ? true : undefined);
  await eventually('the text', done, blockMs).catch(() => {});
  if (!printed()) throw failed(block, run, `did not print "${text}"`);
}

/** What goes on in the background may still be printing. */
async function checkOutput(expected: string, run: Running, block: ShellBlock): Promise<void> {
  const missing = (): string | null => missingLine(expected, run.output());
  const limitMs = block.how.kind === 'background' ? 10_000 : 0;
  await eventually('the output', () => (missing() === null ? true : undefined), limitMs).catch(() => {});
  const line = missing();
  if (line !== null) throw failed(block, run, `did not print, as the page says: ${line}`);
}

/** As Ctrl-C does. */
async function stop(run: Running): Promise<void> {
  if (run.child.exitCode !== null || run.child.pid === undefined) return;
  killGroup(run.child.pid, 'SIGINT');
  await eventually('it stops', () => run.child.exitCode ?? run.child.signalCode ?? undefined, blockMs);
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

/** Which majors stand for those that a page names. */
export type Versions = Readonly<Record<number, number>>;

/** Puts free ports in the place of the page's, and this machine's directories in that of PostgreSQL's. */
async function thisMachine(
  blocks: readonly ShellBlock[],
  versions: Versions,
): Promise<(text: string) => string> {
  const texts = blocks.map(({ text, prints }) => `${text}\n${prints ?? ''}`).join('\n');
  const ports = new Map<string, string>();
  for (const [port] of texts.matchAll(/\b(?:5432|25432|308\d)\b/g))
    if (!ports.has(port)) ports.set(port, String(await freePort()));
  return (text) =>
    text
      .replaceAll(/\b(?:5432|25432|308\d)\b/g, (port) => ports.get(port) ?? port)
      .replaceAll(/\/usr\/lib\/postgresql\/(\d+)\/bin/g, (_, major: string) =>
        bindirOf(versions[Number(major)] ?? Number(major)),
      );
}

function bindirOf(major: number): string {
  const found: Installed | undefined = installedPostgres().find((one) => one.major === major);
  if (found === undefined) throw new Error(`PostgreSQL ${major} is not installed`);
  return found.bindir;
}
