import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import dockerignore from '@balena/dockerignore';
import type { Image } from './base.ts';
import { asUser } from './user.ts';
import type { ImageConfig } from './config.ts';
import { type Stage, type Step, expand, listOf, pairs, readDockerfile } from './dockerfile.ts';

export const enter = fileURLToPath(new URL('enter.sh', import.meta.url));
const checkout = fileURLToPath(new URL('../../..', import.meta.url));

export interface Replay {
  /** The stage that is wanted. */
  readonly target: string;
  readonly args?: Readonly<Record<string, string>>;
  /** The images that stages begin with, and stages that are there already. */
  readonly images: Readonly<Record<string, Image>>;
  /** Stages are made below it. */
  readonly dir: string;
  readonly file?: string;
}

/** Does what an engine does to build a stage of our Dockerfile: its instructions in their order, on a copy of the root file
 *  system that it begins with; first the stages that it copies from.
 *  @throws with the line of the Dockerfile that failed */
export function replay({
  target,
  args = {},
  images,
  dir,
  file = join(checkout, 'Dockerfile'),
}: Replay): Image {
  const dockerfile = readDockerfile(file);
  const global = { ...dockerfile.args, ...args };
  const done = new Map(Object.entries(images));
  const make = (name: string): Image => {
    const known = done.get(name);
    if (known !== undefined) return known;
    const stage = dockerfile.stages.find((one) => one.name === name);
    if (stage === undefined) throw new Error(`there is neither an image nor a stage ${name}`);
    const base = make(expand(stage.from, global));
    const root = join(dir, `stage-${name}`);
    execFileSync('cp', ['-a', base.root, root]);
    const built = runStage(stage, { root, config: base.config }, { global, args, make });
    done.set(name, built);
    return built;
  };
  return make(target);
}

interface Around {
  readonly global: Readonly<Record<string, string>>;
  readonly args: Readonly<Record<string, string>>;
  make(stage: string): Image;
}

interface State {
  readonly root: string;
  readonly config: ImageConfig;
  readonly args: Readonly<Record<string, string>>;
}

function runStage({ steps }: Stage, { root, config }: Image, around: Around): Image {
  let state: State = { root, config, args: {} };
  for (const step of steps) {
    const perform = performers[step.keyword];
    if (perform === undefined) throw new Error(`line ${step.line}: ${step.keyword} cannot be replayed`);
    try {
      state = { ...state, ...perform(step, state, around) };
    } catch (error) {
      throw new Error(`line ${step.line}: ${step.keyword} ${step.text}`, { cause: error });
    }
  }
  return { root, config: state.config };
}

type Perform = (step: Step, state: State, around: Around) => Partial<State>;

const values = ({ config, args }: State) => ({ ...args, ...config.env });
const words = (step: Step, state: State): string[] =>
  listOf(step.text) ?? expand(step.text, values(state)).split(/\s+/);
const set =
  (change: (step: Step, state: State) => Partial<ImageConfig>): Perform =>
  (step, state) => ({ config: { ...state.config, ...change(step, state) } });
/** A command: as a list it is run as it is, else by the shell. */
const command = (text: string, { shell }: ImageConfig): string[] => listOf(text) ?? [...shell, text];

const performers: Readonly<Record<string, Perform>> = {
  ARG(step, { args }, around) {
    const [name = ''] = step.text.split('=');
    const value = around.args[name] ?? pairs(step.text)[name] ?? around.global[name];
    return value === undefined ? {} : { args: { ...args, [name]: value } };
  },
  ENV: set((step, state) => ({ env: { ...state.config.env, ...pairs(expand(step.text, values(state))) } })),
  LABEL: set((step, state) => ({
    labels: { ...state.config.labels, ...pairs(expand(step.text, values(state))) },
  })),
  SHELL: set((step) => ({ shell: listOf(step.text) as string[] })),
  USER: set((step, state) => ({ user: expand(step.text, values(state)) })),
  EXPOSE: set((step, state) => ({ ports: [...state.config.ports, ...words(step, state)] })),
  STOPSIGNAL: set((step) => ({ stopSignal: step.text })),
  ENTRYPOINT: set((step, { config }) => ({ entrypoint: command(step.text, config), cmd: [] })),
  CMD: set((step, { config }) => ({ cmd: command(step.text, config) })),
  HEALTHCHECK: set((step, { config }) => ({
    healthcheck: { command: command(step.text.replace(/^CMD\s+/, ''), config), flags: step.flags },
  })),
  VOLUME(step, state) {
    const named = words(step, state);
    for (const name of named) mkdirSync(join(state.root, name), { recursive: true });
    return { config: { ...state.config, volumes: [...state.config.volumes, ...named] } };
  },
  WORKDIR(step, state) {
    const workdir = expand(step.text, values(state));
    mkdirSync(join(state.root, workdir), { recursive: true });
    return { config: { ...state.config, workdir } };
  },
  COPY(step, state, around) {
    const given = words(step, state);
    const to = given.pop() as string;
    const stage = step.flags['from'];
    const sources =
      stage === undefined ? fromContext(given) : given.map((from) => join(around.make(stage).root, from));
    copy(
      sources,
      join(state.root, to.startsWith('/') ? '' : state.config.workdir, to),
      given.length > 1 || to.endsWith('/'),
    );
    return {};
  },
  RUN(step, state) {
    runInside(state, command(step.text, state.config));
    return {};
  },
};

/** A directory's contents are copied, a file as what `to` names. */
function copy(sources: readonly string[], to: string, intoDirectory: boolean): void {
  mkdirSync(intoDirectory ? to : dirname(to), { recursive: true });
  for (const from of sources) {
    if (from.endsWith('/.')) execFileSync('cp', ['-r', from, to]);
    else copyFileSync(from, intoDirectory ? join(to, basename(from)) : to);
  }
}

/** The files of the context, from a copy in which nothing else is. */
function fromContext(sources: readonly string[]): string[] {
  const context = join(checkout, 'build/context');
  makeContext(context);
  return sources.map((source) => (source === '.' ? `${context}/.` : join(context, source)));
}

/** Copies what .dockerignore leaves of the checkout. */
export function makeContext(context: string): void {
  const wanted = dockerignore
    .default()
    .add(readFileSync(join(checkout, '.dockerignore'), 'utf8').split('\n'));
  rmSync(context, { recursive: true, force: true });
  const walk = (below: string): void => {
    for (const entry of readdirSync(join(checkout, below), { withFileTypes: true })) {
      const name = join(below, entry.name);
      // Large, and left out in any case.
      if (['node_modules', '.git', 'dist'].includes(entry.name) || name === 'build') continue;
      if (entry.isDirectory()) walk(name);
      else if (!wanted.ignores(name)) {
        mkdirSync(join(context, below), { recursive: true });
        // With its time, by which the scripts see what is installed.
        cpSync(join(checkout, name), join(context, name), { preserveTimestamps: true });
      }
    }
  };
  walk('');
}

/** With the network, and the name servers, of this machine, as while an image is built. */
function runInside({ root, config, args }: State, given: readonly string[]): void {
  const resolv = join(root, 'etc/resolv.conf');
  copyFileSync('/etc/resolv.conf', resolv);
  const user = config.user === '' ? [] : asUser(root, config.user);
  const environment = Object.entries({ ...args, HOME: '/root', ...config.env }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const inside = ['env', '-i', '-C', config.workdir, ...environment, ...user, ...given];
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child'];
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    [...namespaces, 'sh', enter, root, 'rw', '64m', '--', ...inside],
    {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    },
  );
  writeFileSync(resolv, '');
  if (status !== 0) throw new Error(`${given.join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
}
