import { constants, copyFile, lstat, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { ownDir } from '../../process/files.ts';
import { HostileArchive } from '../../tar/extract.ts';
import type { Places } from './places.ts';
import type { WorkDir } from './work-dir.ts';

const shareDir = 'share/extension/';
const libDir = 'lib/';

interface Move {
  readonly from: string;
  readonly to: string;
}

export interface Unpacked {
  readonly extension: string;
  /** Where its archive was unpacked. */
  readonly dir: string;
  /** Its files, relative to `dir`. */
  readonly names: Iterable<string>;
}

/** Puts the files of an extension into place, each whole. The control file, by which PostgreSQL finds an extension, comes last, and
 *  after a failure none of them stays.
 *  @throws ComputeError `download`: a file would replace one that is not of this extension, or cannot be written; HostileArchive */
export async function install(unpacked: Unpacked, places: Places, work: WorkDir): Promise<void> {
  const { extension, dir } = unpacked;
  const ours = new Set(work.filesOf(extension));
  const moves: Move[] = [];
  for (const name of [...unpacked.names].toSorted(byOrder)) {
    const move = { from: join(dir, name), to: targetOf(name, places) };
    // A note in there would name files that the next start removes.
    if (move.to.startsWith(`${work.path}/`))
      throw new HostileArchive(name, 'it would be among the notes of what is installed');
    if (ours.has(move.to) || !(await isInTheWay(move, extension))) moves.push(move);
  }
  const files = [...new Set([...ours, ...moves.map(({ to }) => to)])];
  work.note(extension, files, false);
  try {
    for (const move of moves) await place(move);
  } catch (error) {
    await work.takeBack(extension);
    throw new ComputeError('download', `could not install the extension ${extension}`, { cause: error });
  }
  work.note(extension, files, true);
}

const order = [/^lib\//, /^share\/extension\/.*(?<!\.sql|\.control)$/, /\.sql$/, /\.control$/];
const orderOf = (name: string): number => order.findIndex((kind) => kind.test(name));
const byOrder = (a: string, b: string): number => orderOf(a) - orderOf(b);

const targetOf = (name: string, { share, lib }: Places): string =>
  name.startsWith(libDir) ? join(lib, name.slice(libDir.length)) : join(share, name.slice(shareDir.length));

/** True: the file is there already, with the same content; and a control file wins in any case, since it came with the spec or with
 *  PostgreSQL. @throws ComputeError `download` for another content: the file belongs to something else */
async function isInTheWay({ from, to }: Move, extension: string): Promise<boolean> {
  const there = await lstat(to).catch(orMissing);
  if (there === null) return false;
  if (to.endsWith('.control')) return true;
  if (there.isFile() && there.size === (await lstat(from)).size) {
    const [own, other] = await Promise.all([readFile(from), readFile(to)]);
    if (own.equals(other)) return true;
  }
  throw new ComputeError('download', `the extension ${extension} would replace ${to}, which is not its own`, {
    hint: 'it belongs to PostgreSQL or to another extension: take it out of the archive, or remove it from the image',
  });
}

async function place({ from, to }: Move): Promise<void> {
  ownDir(dirname(to), 0o755);
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    const beside = `${to}.new`;
    await rm(beside, { force: true });
    await copyFile(from, beside, constants.COPYFILE_EXCL);
    await rename(beside, to);
  }
}

function orMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
