import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { systemCode } from '../core/system-hints.ts';
import type { RetryTrack } from '../core/retries.ts';
import { type InputLimits, readInput } from './read-input.ts';
import { type Parsed, parseConfig, parseJwks, parseLegacySpec } from '../spec/parse.ts';
import { type ResolvedSpec, resolveSpec } from '../spec/resolve.ts';
import type { ComputeCtlConfig, ComputeSpec, ConfigFile } from '../spec/schema.ts';
import { pullConfig } from './control-plane.ts';
import { controlPlaneToken } from './control-plane-token.ts';
import type { Options } from './options.ts';

export type ConfigSource = 'file' | 'control-plane' | 'legacy-spec' | 'legacy-path' | 'none';

export interface LoadedConfig {
  /** Null: the compute starts empty. */
  readonly spec: ResolvedSpec | null;
  readonly config: ComputeCtlConfig;
  readonly source: ConfigSource;
  /** Whether `POST /configure` may bring another spec. */
  readonly liveConfigAllowed: boolean;
  /** Notes on accepted parts without an effect; already in the log. */
  readonly notes: readonly string[];
}

export interface LoadDeps {
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Called for each request to the control plane with `200 OK` or the like, `unknown` when there was no answer. */
  readonly onControlPlaneAttempt: (httpStatus: string) => void;
  readonly track?: RetryTrack;
  /** Environment with proxies and the token; by default the process's own. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Reads the config from the source that the options name. A refresh calls it again with the same options.
 *  @throws ComputeError `config_unreadable`, `spec_shape`, `spec_invalid` or `control_plane`, naming the source; AbortError */
export async function loadConfig(options: Options, deps: LoadDeps): Promise<LoadedConfig> {
  const source = sourceOf(options);
  const { value, notes } = await read(source, options, deps);
  const given = await ownKeys(options, value.compute_ctl_config, deps.signal);
  const all = [...notes, ...given.notes];
  for (const note of all) deps.log.warn(note);
  return {
    spec:
      value.spec === null
        ? null
        : named(nameOf(source, options), () => resolveSpec(value.spec as ComputeSpec)),
    config: given.value,
    source,
    liveConfigAllowed: source !== 'legacy-spec',
    notes: all,
  };
}

function sourceOf(options: Options): ConfigSource {
  if (options.spec !== null) return 'legacy-spec';
  if (options.specPath !== null) return 'legacy-path';
  if (options.config !== null) return 'file';
  return options.controlPlaneUri === null ? 'none' : 'control-plane';
}

const withoutConfig = (spec: ComputeSpec | null): ConfigFile => ({
  spec,
  compute_ctl_config: { jwks: { keys: [] }, tls: null },
});

const nameOf = (source: ConfigSource, options: Options): string =>
  ({
    file: `config file ${options.config}`,
    'control-plane': 'spec from the control plane',
    'legacy-spec': 'spec of --spec',
    'legacy-path': `spec file ${options.specPath}`,
    none: 'no config',
  })[source];

async function read(source: ConfigSource, options: Options, deps: LoadDeps): Promise<Parsed<ConfigFile>> {
  const name = nameOf(source, options);
  const file = (path: string | null): Promise<string> => readText(name, path ?? '', deps.signal);
  if (source === 'none') return { value: withoutConfig(null), notes: [] };
  if (source === 'file') return fromText(name, await file(options.config), parseConfig);
  if (source === 'legacy-path')
    return bare(await fromText(name, await file(options.specPath), parseLegacySpec));
  if (source === 'legacy-spec') return bare(await fromText(name, options.spec ?? '', parseLegacySpec));
  const env = deps.env ?? process.env;
  return pullConfig({
    baseUrl: options.controlPlaneUri ?? '',
    computeId: options.computeId ?? '',
    timeoutMs: options.controlPlaneTimeoutSeconds * 1000,
    token: await controlPlaneToken(options.controlPlaneTokenFile, env, deps.signal),
    signal: deps.signal,
    env,
    onAttempt: deps.onControlPlaneAttempt,
    onRetry: ({ attempt, error }) =>
      deps.log.warn({ attempt }, `the control plane is asked again: ${explained(error)}`),
    track: deps.track,
  });
}

const bare = ({ value, notes }: Parsed<ComputeSpec>): Parsed<ConfigFile> => ({
  value: withoutConfig(value),
  notes,
});

/** The config's keys, or those of `--jwks` when it has none. */
async function ownKeys(
  options: Options,
  config: ComputeCtlConfig,
  signal: AbortSignal,
): Promise<Parsed<ComputeCtlConfig>> {
  if (options.jwks === null) return { value: config, notes: [] };
  if (config.jwks.keys.length > 0) {
    return { value: config, notes: [`--jwks ${options.jwks} is ignored: the config has keys of its own`] };
  }
  const name = `key file ${options.jwks}`;
  const { value: keys, notes } = await fromText(name, await readText(name, options.jwks, signal), parseJwks);
  return { value: { ...config, jwks: { keys } }, notes };
}

/** Where the system's own hint would say nothing. */
const pathHints: Readonly<Record<string, string>> = {
  ENOENT: 'correct the path, or create the file',
  ENOTDIR: 'correct the path',
  EISDIR: 'give the path of a file',
};

/** Of a config, a spec or a key file. A pipe may have to be filled by a slow program, and is filled again for each refresh. */
const limits: InputLimits = { maxBytes: 64 * 1024 * 1024, limitMs: 60_000, once: 'given' };

async function readText(name: string, path: string, signal: AbortSignal): Promise<string> {
  try {
    return (await readInput(path, limits, signal)).reveal();
  } catch (cause) {
    signal.throwIfAborted();
    const hint = pathHints[systemCode(cause) ?? ''];
    throw new ComputeError(
      'config_unreadable',
      `could not read ${name}`,
      hint === undefined ? { cause } : { cause, hint },
    );
  }
}

async function fromText<T>(name: string, text: string, parse: (text: string) => Promise<T>): Promise<T> {
  try {
    return await parse(text);
  } catch (error) {
    throw withName(name, error);
  }
}

function named<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withName(name, error);
  }
}

/** The same failure, with the name of its source. */
const withName = (name: string, cause: unknown): unknown =>
  cause instanceof ComputeError ? new ComputeError(cause.code, `${name} cannot be used`, { cause }) : cause;
