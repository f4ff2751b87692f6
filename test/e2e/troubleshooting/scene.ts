import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Rig, rig } from '../../support/compute.ts';
import { type LocalRig, localRig } from '../../support/local.ts';
import { defaultPostgres } from '../../support/postgres-versions.ts';
import { type Program, startProgram } from '../../support/program.ts';
import { scratchDir } from '../../support/scratch.ts';
import { type Replacement, port, stable } from './stable.ts';

type ProgramName = 'compute_ctl' | 'compute-local' | 'vm-monitor';

/** How a compute is run that will fail. */
export interface Start {
  readonly spec?: object;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly before?: string;
}

const shownArgs = (args: readonly string[]): string =>
  args.map((arg) => (/^[\w./:=@,-]+$/.test(arg) ? arg : `'${arg}'`)).join(' ');

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
  async run(name: ProgramName, args: readonly string[], before = '', env: NodeJS.ProcessEnv = {}): Promise<string> {
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
    const program = it.start({ ...start, ...(start.spec && { spec: start.spec }) });
    const { error } = await it.until('failed', 60_000);
    const code = await program.exited(60_000);
    const args = (start.args ?? []).map((arg) => ` ${arg}`).join('');
    return this.stable(
      `$ compute_ctl -D pgdata -C postgresql://… -c config.json -i compute-1${args}\n` +
        `$ curl … http://127.0.0.1:3080/status | jq -r .error\n${String(error)}\nexit code ${code}`,
    );
  }

  /** Starts a compute that ends before it has a status. @returns what is on stderr */
  async refusedStart(start: Start = {}): Promise<string> {
    const it = await this.compute();
    const program = it.start({ ...start, ...(start.spec && { spec: start.spec }) });
    const code = await program.exited(60_000);
    const args = (start.args ?? []).map((arg) => ` ${arg}`).join('');
    return this.shell(
      `compute_ctl -D pgdata -C postgresql://… -c config.json -i compute-1${args}`,
      program.stderr(),
      code,
    );
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
