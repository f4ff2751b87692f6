import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { pointLink, writeAtomically } from '../process/files.ts';
import { readSmall } from '../process/regular-file.ts';
import { type TlsFiles, type TlsPair, isSamePair, readPair } from './tls.ts';
import { lateTlsFile, tlsLines } from './tls-lines.ts';

// `server.key` and `server.crt` are links through one link to the directory that holds both files, so that they change in one
// rename: at no moment does PGDATA hold the key of one pair and the certificate of another.

const current = 'compute_ctl_tls';
const names = { key: 'server.key', cert: 'server.crt' } as const;

/** What a base backup must not replace. */
export const tlsEntries: readonly string[] = [current, lateTlsFile, ...Object.values(names)];

/** The pair in PGDATA; null when there is none that can be used. */
export async function placedPair(pgdata: string): Promise<TlsPair | null> {
  try {
    return await readPair(filesIn(pgdata));
  } catch {
    return null;
  }
}

const filesIn = (pgdata: string): TlsFiles => ({
  keyPath: join(pgdata, names.key),
  certPath: join(pgdata, names.cert),
});

export interface Brought {
  /** What is in PGDATA now. */
  readonly inUse: TlsPair;
  /** What the files have. It is not in use when the earlier pair is valid and this one is not. */
  readonly inFiles: TlsPair;
}

/** Puts the pair of the files into PGDATA, unless that would replace a valid one by one that has expired or is not valid yet.
 *  @throws ComputeError `tls` when it is not usable; the system's error when it cannot be written */
export async function bringPair(files: TlsFiles, pgdata: string): Promise<Brought> {
  const [inFiles, before] = await Promise.all([readPair(files), placedPair(pgdata)]);
  if (before !== null && isValid(before) && !isValid(inFiles)) return { inUse: before, inFiles };
  if (!isSamePair(before, inFiles)) place(pgdata, inFiles);
  return { inUse: inFiles, inFiles };
}

const isValid = ({ validFromMs, validToMs }: TlsPair, atMs = Date.now()): boolean =>
  validFromMs <= atMs && atMs <= validToMs;

/** Synchronous: a pair is either there or not for whoever else runs in this process. Only the OS user may read it. */
function place(pgdata: string, pair: TlsPair): void {
  const fresh = `${current}.${randomBytes(8).toString('hex')}`;
  const dir = join(pgdata, fresh);
  try {
    mkdirSync(dir, { mode: 0o700 });
    const texts = { key: pair.key.reveal(), cert: pair.cert };
    for (const part of ['key', 'cert'] as const)
      writeFileSync(join(dir, names[part]), texts[part], { flag: 'wx', mode: 0o600 });
    pointLink(join(pgdata, current), fresh);
    for (const name of Object.values(names)) linkOnce(join(pgdata, name), join(current, name));
  } catch (error) {
    if (linkOf(join(pgdata, current)) !== fresh) rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  removeOthers(pgdata, fresh);
}

function linkOnce(path: string, target: string): void {
  if (linkOf(path) !== target) pointLink(path, target);
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

function removeOthers(pgdata: string, kept: string | null): void {
  for (const name of readdirSync(pgdata))
    if (
      name !== kept &&
      name.startsWith(`${current}.`) &&
      /^[0-9a-f]{16}$/.test(name.slice(current.length + 1))
    )
      rmSync(join(pgdata, name), { recursive: true, force: true });
}

/** For a compute that uses TLS no longer, once Postgres has read its settings. */
export function removePair(pgdata: string): void {
  if (linkOf(join(pgdata, current)) === null) return;
  for (const name of tlsEntries) rmSync(join(pgdata, name), { force: true });
  removeOthers(pgdata, null);
}

/** Where `postgresql.conf` was written without a usable pair: makes a reload switch TLS on.
 *  @returns whether one is needed for that */
export function switchLateTlsOn(pgdata: string): boolean {
  const late = join(pgdata, lateTlsFile);
  if (existsSync(late) || !isIncluded(pgdata)) return false;
  writeAtomically(late, `${tlsLines.join('\n')}\n`, {});
  return true;
}

function isIncluded(pgdata: string): boolean {
  try {
    return readSmall(join(pgdata, 'postgresql.conf')).includes(lateTlsFile);
  } catch {
    return false;
  }
}

/** Whether a usable pair is in PGDATA after a try to bring it there.
 *  @param onFailure hears why the files cannot be used */
export async function tryToBring(
  files: TlsFiles,
  pgdata: string,
  onFailure: (error: ComputeError) => void,
): Promise<boolean> {
  try {
    await bringPair(files, pgdata);
    return true;
  } catch (error) {
    if (!(error instanceof ComputeError)) throw error;
    onFailure(error);
    return (await placedPair(pgdata)) !== null;
  }
}
