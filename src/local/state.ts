import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { shellWord } from '../core/shell-word.ts';
import { systemHint } from '../core/system-hints.ts';
import { formatUrl } from '../pg/libpq-write.ts';
import { writeDurable } from '../process/files.ts';
import { readSmall } from '../process/regular-file.ts';
import { type Branch, isBranch } from './branch.ts';
import { scramVerifier } from './scram-verifier.ts';
import type { Started } from './started.ts';
import type { Keep } from './storage/history.ts';
import type { HeldTimeline } from './storage/layout.ts';
import { isId } from './storage/made.ts';

/** The values that the first `up` chooses and later ones keep. Contains secrets: only its owner can read the file. */
export interface LocalState {
  readonly version: 1;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly computeId: string;
  readonly user: string;
  readonly database: string;
  readonly password: string;
  /** The password's SCRAM verifier, as PostgreSQL stores it, so that every start sets the same one. */
  readonly passwordVerifier: string;
  readonly storageToken: string;
  readonly controlPlaneToken: string;
  /** Ed25519, as JWK: the private key signs our requests to compute_ctl. */
  readonly signingKey: {
    readonly kty: 'OKP';
    readonly crv: 'Ed25519';
    readonly x: string;
    readonly d: string;
  };
  readonly ports: Ports;
  /** Postgres and the HTTP API listen on all addresses; on the loopback only when left out. */
  readonly listenAll?: boolean;
  /** The last `up` let the compute sleep: Postgres listens on its Unix socket only, and a front has its port. Left out: false. */
  readonly front?: boolean;
  /** The other options of the last `up`. */
  readonly started?: Started;
  /** PostgreSQL's identifier of the database. Once it is there, a missing timeline is a loss and not a beginning. */
  readonly systemId?: string;
  /** How much of the history the storage keeps; left out: none. */
  readonly keep?: Keep | null;
  /** For a directory below `branches`. */
  readonly branch?: Branch;
}

export interface Ports {
  readonly postgres: number;
  readonly externalHttp: number;
  readonly internalHttp: number;
  readonly pageserver: number;
  readonly safekeeper: number;
  readonly controlPlane: number;
  /** 0: there is no dashboard. Left out by earlier versions. */
  readonly dashboard?: number;
}

const portNames = [
  'postgres',
  'externalHttp',
  'internalHttp',
  'pageserver',
  'safekeeper',
  'controlPlane',
] as const satisfies readonly (keyof Ports)[];

export interface LocalDir {
  readonly root: string;
  readonly state: string;
  readonly storage: string;
  readonly pgdata: string;
  /** Directory of Postgres's Unix socket; only its OS user can enter it. */
  readonly run: string;
  readonly log: string;
  /** The other computes on the same storage: see nodes.ts. */
  readonly nodes: string;
  /** Computes with a storage of their own: see branches/. */
  readonly branches: string;
  /** File with the name of the node that is the primary; missing while that is the main compute. */
  readonly primary: string;
  readonly upPid: string;
  readonly storagePid: string;
  readonly computePid: string;
  /** What the front notes for `status`. */
  readonly sleep: string;
  /** The data directory of the next start, its making, and what it is copied from: see next/. */
  readonly next: string;
  readonly nextFresh: string;
  readonly nextTemplate: string;
  readonly nextPid: string;
}

export const defaultDir = (): string =>
  process.getuid?.() === 0 ? '/var/lib/compute-local' : join(homedir(), '.compute-local');

/** A command line for hints; with the directory, where it is not that of everybody. */
export const commandFor = (dir: LocalDir, words: string): string => `compute-local ${words}${dirOption(dir)}`;

/** With a blank before it; empty for the directory of everybody. */
export const dirOption = ({ root }: Pick<LocalDir, 'root'>): string =>
  root === defaultDir() ? '' : ` --dir ${shellWord(root)}`;

/** A socket path may have 107 bytes. */
const longestSocketDir = 107 - '/.s.PGSQL.65535.lock'.length;

/** @throws ComputeError `usage` when the path is too long for a Unix socket below it */
export function localDir(path: string): LocalDir {
  const dir = placesIn(resolve(path));
  if (Buffer.byteLength(dir.run) <= longestSocketDir) return dir;
  throw new ComputeError('usage', `the path ${dir.root} is too long for a Unix socket below it`, {
    hint: 'choose a shorter one with --dir',
  });
}

/** Also where a compute could not run. */
export function placesIn(root: string): LocalDir {
  return {
    root,
    run: join(root, 'run'),
    state: join(root, 'local.json'),
    storage: join(root, 'storage'),
    pgdata: join(root, 'pgdata'),
    log: join(root, 'log'),
    upPid: join(root, 'up.pid'),
    nodes: join(root, 'nodes'),
    branches: join(root, 'branches'),
    primary: join(root, 'primary.json'),
    storagePid: join(root, 'storage.pid'),
    computePid: join(root, 'compute_ctl.pid'),
    sleep: join(root, 'sleep.json'),
    next: join(root, 'pgdata.next'),
    nextFresh: join(root, 'pgdata.next.new'),
    nextTemplate: join(root, 'pgdata.template'),
    nextPid: join(root, 'next.pid'),
  };
}

/** Null when there has been no `up` in this directory.
 *  @throws ComputeError `config_unreadable` */
export function readState(dir: LocalDir): LocalState | null {
  if (!existsSync(dir.state)) return null;
  let found: unknown;
  try {
    found = JSON.parse(readSmall(dir.state));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw unreadable(`${dir.state} is damaged: it is not valid JSON`);
    throw unreadable(`could not read ${dir.state}`, cause);
  }
  if (isState(found)) return found;
  const version = (found as { version?: unknown } | null)?.version;
  if (typeof version !== 'number' || version <= formatVersion)
    throw unreadable(`${dir.state} is damaged, or another program's`);
  throw new ComputeError(
    'config_unreadable',
    `${dir.state} was written by a newer version of compute-local: it has format ${version}, this one knows ${formatVersion}`,
    { hint: 'use that version, or a newer one; nothing was changed' },
  );
}

/** Of local.json. */
const formatVersion = 1;

const unreadable = (message: string, cause?: unknown): ComputeError =>
  new ComputeError('config_unreadable', message, {
    cause,
    // The file itself is not in doubt.
    hint:
      systemHint(cause) ??
      'if compute-local wrote it, restore it from a backup; without one, move it away: `compute-local up` then creates another for the data in the storage',
  });

/** Programs of all kinds have a file of this name, so it is looked at closely. */
export function isState(value: unknown): value is LocalState {
  const state = value as Partial<LocalState> | null;
  if (typeof state !== 'object' || state?.version !== formatVersion) return false;
  const { tenantId, timelineId, ports, signingKey } = state;
  const texts = [state.computeId, state.user, state.database, state.password, state.passwordVerifier];
  const secrets = [state.storageToken, state.controlPlaneToken, signingKey?.x, signingKey?.d];
  return (
    [tenantId, timelineId].every((id) => typeof id === 'string' && isId(id)) &&
    [...texts, ...secrets].every((text) => typeof text === 'string' && text !== '') &&
    (state.branch === undefined || isBranch(state.branch)) &&
    portNames.every((name) => Number.isInteger(ports?.[name]))
  );
}

/** The same with the password of now, which `compute-local password app` changes while others hold the state. */
export function withPassword(dir: LocalDir, state: LocalState): LocalState {
  try {
    const { password, passwordVerifier } = readState(dir) ?? state;
    return { ...state, password, passwordVerifier };
  } catch {
    // `status` says what is wrong with the file.
    return state;
  }
}

/** @throws ComputeError `conflict` when there has been no `up` */
export function stateOf(dir: LocalDir): LocalState {
  const state = readState(dir);
  if (state !== null) return state;
  throw new ComputeError('conflict', `there is no local compute in ${dir.root}`, {
    hint: `create one with: ${commandFor(dir, 'up')}`,
  });
}

/** @param held the timeline that the storage has already; null: a new one */
export function createState(
  dir: LocalDir,
  ports: Ports,
  { listenAll = false, front = false }: Pick<LocalState, 'listenAll' | 'front'> = {},
  held: HeldTimeline | null = null,
  more: Pick<LocalState, 'keep' | 'branch' | 'systemId' | 'started'> = {},
): LocalState {
  const hex = (): string => randomBytes(16).toString('hex');
  const secret = (): string => randomBytes(24).toString('base64url');
  const { privateKey } = generateKeyPairSync('ed25519');
  const password = secret();
  const state: LocalState = {
    version: formatVersion,
    ...(held ?? { tenantId: hex(), timelineId: hex() }),
    computeId: 'compute-local',
    user: 'app',
    database: 'app',
    password,
    passwordVerifier: scramVerifier(password),
    storageToken: secret(),
    controlPlaneToken: secret(),
    ports,
    listenAll,
    front,
    ...more,
    signingKey: privateKey.export({ format: 'jwk' }) as LocalState['signingKey'],
  };
  writeState(dir, state);
  return state;
}

export const writeState = (dir: LocalDir, state: LocalState): void =>
  writeDurable(dir.state, `${JSON.stringify(state, null, 2)}\n`);

/** The connection URL for applications. */
export const connectionUrl = ({ user, password, ports, database }: LocalState): string =>
  formatUrl({ user, password, host: '127.0.0.1', port: ports.postgres, database });
