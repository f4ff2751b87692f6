import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { freePort } from '../../support/cluster.ts';
import { type Rig, rig } from '../../support/compute.ts';
import { type LocalRig, localRig } from '../../support/local.ts';
import { defaultPostgres, osUser } from '../../support/postgres-versions.ts';
import { type Program, eventually, startProgram } from '../../support/program.ts';
import { scratchDir } from '../../support/scratch.ts';
import { type Replacement, port, stable } from './stable.ts';

type ProgramName = 'compute_ctl' | 'compute-local' | 'vm-monitor';

/** How a compute is run that will fail. */
export interface Start {
  readonly spec?: object;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly before?: string;
  /** `args` names the config. */
  readonly noConfig?: boolean;
}

const shownArgs = (args: readonly string[]): string =>
  args.map((arg) => (/^[\w./:=@,-]+$/.test(arg) ? arg : `'${arg}'`)).join(' ');

/** The log before the end is not the same in every run. */
const ended = (stderr: string): string => stderr.trimEnd().replace(/^[^]+\n(?=Error: )/, '…\n');

/** Where one mistake is made: directories, a compute with doubles of its storage, a compute-local. All of it goes with `end`. */
export class Scene {
  readonly home = scratchDir('trouble');
  readonly #replacements: Replacement[] = [[this.home, '/srv']];
  readonly #programs: Program[] = [];
  #rig: Promise<Rig> | null = null;
  #local: LocalRig | null = null;

  constructor() {
    chmodSync(this.home, 0o777);
  }

  /** Shows something in another way on the page. */
  show(...replacements: readonly Replacement[]): void {
    this.#replacements.unshift(...replacements);
  }

  /** The path of a file in the scene's directory, written when there is content. */
  file(name: string, content?: string): string {
    const path = join(this.home, name);
    if (content !== undefined) writeFileSync(path, content);
    return path;
  }

  /** A file that only root, or whoever runs the test, may read. */
  secretFile(name: string, value: unknown): string {
    const path = this.json(name, value);
    chmodSync(path, 0o600);
    return path;
  }

  /** The `postgres` of the tests. */
  pgbin = (): string => join(defaultPostgres().bindir, 'postgres');

  json = (name: string, value: unknown): string => this.file(name, JSON.stringify(value));

  compute(): Promise<Rig> {
    this.#rig ??= this.#makeRig();
    return this.#rig;
  }

  local(): LocalRig {
    if (this.#local === null) {
      this.#local = localRig();
      this.show([this.#local.dir, '/var/lib/compute-local']);
    }
    return this.#local;
  }

  /** Runs a program to its end. @param before what the shell does before it becomes the program */
  async run(
    name: ProgramName,
    args: readonly string[],
    before = '',
    env: NodeJS.ProcessEnv = {},
  ): Promise<string> {
    const program = startProgram(name, args, env, 'pipe', before);
    this.#programs.push(program);
    const code = await program.exited(60_000);
    return this.shell(`${name} ${shownArgs(args)}`, program.stdout() + program.stderr(), code);
  }

  /** A command line, what it printed and its exit code. */
  shell(command: string, printed: string, code: number | string): string {
    return this.stable(`$ ${command}\n${printed.trimEnd()}\nexit code ${code}`);
  }

  /** Starts a compute that fails. @returns `error` of its status, which the last line of its log repeats */
  async failedStart(start: Start = {}): Promise<string> {
    const it = await this.compute();
    const program = this.#start(it, start);
    const { error } = await it.until('failed', 60_000);
    // Else it would go on answering for its grace time.
    program.kill('SIGTERM');
    const code = await program.exited(60_000);
    const shown = `${this.#shown(start)}\n$ curl … http://127.0.0.1:3080/status | jq -r .error`;
    return this.stable(`${shown}\n${String(error)}\nexit code ${code}`);
  }

  /** Starts a compute that ends before it has a status. @returns what is on stderr */
  async refusedStart(start: Start = {}): Promise<string> {
    const program = this.#start(await this.compute(), start);
    const code = await program.exited(60_000);
    return this.stable(`${this.#shown(start)}\n${ended(program.stderr())}\nexit code ${code}`);
  }

  #start(it: Rig, { noConfig = false, args = [], env = {}, ...start }: Start): Program {
    return noConfig ? it.run(['-i', 'compute-1', ...args], env) : it.start({ ...start, args, env });
  }

  #shown({ args = [] }: Start): string {
    const given = (name: string, shown: string): string => (args.includes(name) ? '' : ` ${name} ${shown}`);
    const usual = given('-D', 'pgdata') + given('-C', 'postgresql://…') + given('-c', 'config.json');
    return `$ compute_ctl${usual} -i compute-1${args.map((arg) => ` ${arg}`).join('')}`;
  }

  /** A shell script. */
  program(name: string, script: string): string {
    const path = this.file(name, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  /** Gives a directory with all in it to the user of the servers. */
  give(path: string): void {
    if (osUser !== null) execFileSync('chown', ['-R', `${osUser.uid}:${osUser.gid}`, path]);
  }

  /** Another program that listens on a port. */
  async listen(
    number: number,
    shown?: number,
  ): Promise<{ readonly number: number; readonly close: () => void }> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(number, '127.0.0.1', resolve));
    const chosen = (server.address() as AddressInfo).port;
    if (shown !== undefined) this.show(port(chosen, shown));
    return { number: chosen, close: () => void server.close() };
  }

  /** Another compute_ctl on the same directory. @returns what its status or stderr says */
  async second(it: Rig): Promise<string> {
    const [external, internal] = [await freePort(), await freePort()];
    this.show(port(external, 4080), port(internal, 4081));
    const config = this.json('second.json', it.config(it.spec()));
    const args = ['-D', it.pgdata, '-C', `postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`];
    const ports = ['--external-http-port', String(external), '--internal-http-port', String(internal)];
    const rest = ['-c', config, '-i', 'compute-1', '--exit-grace-ms', '0'];
    const program = startProgram('compute_ctl', [...args, ...ports, ...rest], {
      PATH: `${dirname(this.pgbin())}:${process.env['PATH']}`,
    });
    this.#programs.push(program);
    const code = await program.exited(60_000);
    const last = program.stderr().trimEnd().split('\n').at(-1) ?? '';
    return this.shell(`compute_ctl ${shownArgs([...args, ...ports, ...rest])}`, `…\n${last}`, code);
  }

  /** What `up` prints until it is ready, and until it has been stopped. */
  async untilReady(dir: string): Promise<string> {
    const program = startProgram('compute-local', ['up', '--dir', dir]);
    this.#programs.push(program);
    await eventually('ready', () => (program.stdout().includes('Ready.') ? true : undefined), 60_000);
    program.kill('SIGTERM');
    const code = await program.exited(60_000);
    const { ports } = this.local().state();
    // The last one first: the usual ports are below the ones that are shown for them.
    const shown = Object.values(ports).map((one, at) => port(one, 25_432 + at));
    this.show(...shown.toReversed());
    return this.shell(`compute-local up --dir ${dir}`, program.stdout() + program.stderr(), code);
  }

  stable(text: string): string {
    return stable(text, this.#replacements);
  }

  async #makeRig(): Promise<Rig> {
    const it = await rig();
    this.show(
      [it.home, '/srv'],
      port(it.port, 5432),
      port(it.httpPort, 3080),
      port(it.pageserver.port, 6400),
      port(it.safekeeper.port, 5454),
    );
    return it;
  }

  async end(): Promise<void> {
    for (const program of this.#programs) program.kill('SIGKILL');
    await (await this.#rig)?.stop();
    await this.#local?.clean();
    rmSync(this.home, { recursive: true, force: true });
  }
}

const made: Promise<Scene>[] = [];

/** A scene that several mistakes are made in, set up by the first of them. */
export function shared(setUp: (scene: Scene) => Promise<void>): () => Promise<Scene> {
  let scene: Promise<Scene> | null = null;
  const make = async (): Promise<Scene> => {
    const it = new Scene();
    await setUp(it);
    return it;
  };
  return () => {
    if (scene === null) made.push((scene = make()));
    return scene;
  };
}

export async function endShared(): Promise<void> {
  for (const scene of made.splice(0)) await (await scene).end();
}
