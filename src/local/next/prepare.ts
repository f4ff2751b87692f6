import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildVersion } from '../../core/build.ts';
import { ComputeError } from '../../core/errors.ts';
import { formatLsn } from '../../core/lsn.ts';
import { poll } from '../../core/poll.ts';
import { type PreparedNote, noteFile, noteText } from '../../postgres/prepared/note.ts';
import { writeDurable } from '../../process/files.ts';
import { bootId } from '../../process/identity.ts';
import { runOk } from '../../process/run-process.ts';
import { removeTree } from '../../process/remove-tree.ts';
import { primaryNode } from '../nodes.ts';
import type { LocalState } from '../state.ts';
import { claimGeneration, needStorage } from '../storage-api.ts';
import { generationFile } from '../storage/files.ts';
import type { StorageStatus } from '../storage/storage-status.ts';
import type { Tools } from '../storage/tools.ts';
import type { PrepareContext } from './context.ts';
import { canClone, cloneTree, unpackSource } from './fill.ts';
import { createNext, freePlaces } from './places.ts';
import { recover } from './recover.ts';
import { bytesOf, checkRoom, refuseOtherDisk, whileRoom } from './room.ts';
import { type Source, endsInOrder, readSource } from './source.ts';
import { type Way, newBytesOf, updateTemplate } from './template.ts';

export interface Prepared {
  readonly way: Way;
  readonly lsn: string;
}

/** Makes the data directory of the next start, while nobody writes: the same as the base backup of the storage, with its WAL replayed. It
 *  does not put it into its place: only `up` knows that no start has begun meanwhile, see keeper.ts.
 *  @throws ComputeError; AbortError */
export async function prepare(context: PrepareContext, signal: AbortSignal): Promise<Prepared> {
  const { dir, state, log } = context;
  if (primaryNode(dir) !== null)
    throw new ComputeError('conflict', 'another compute on the storage is the primary, and may be writing');
  refuseOtherDisk(dir);
  await freePlaces(dir, log, signal);
  const storage = await idleStorage(state, signal);
  const source = readSource(dir, state);
  const lsn = formatLsn(source.last.end);
  if (lsn !== storage.end_lsn)
    throw new ComputeError('conflict', `the storage ends at ${storage.end_lsn}, and its files at ${lsn}`);
  if (!endsInOrder(source))
    throw new ComputeError(
      'conflict',
      'Postgres was not stopped in order: its WAL does not end with a checkpoint',
    );
  await makeRoom(context, source, signal);
  try {
    const way = await whileRoom(context, signal, (limited) => fill(context, source, limited));
    const generation = await claimGeneration(state, storage, signal);
    writeDurable(join(dir.nextFresh, generationFile), `${generation}\n`);
    writeDurable(join(dir.nextFresh, noteFile), noteText(noteOf(context, source)));
    signal.throwIfAborted();
    return { way, lsn };
  } catch (error) {
    // The rest of it is only space.
    rmSync(join(dir.nextFresh, noteFile), { force: true });
    throw error;
  }
}

async function fill(context: PrepareContext, source: Source, signal: AbortSignal): Promise<Way> {
  const { dir, tools, onCopied, log } = context;
  createNext(dir.nextFresh);
  if (canClone(dir.nextFresh)) {
    const way = await updateTemplate(context, source, noteOf(context, source), signal);
    await cloneTree(dir.nextTemplate, dir.nextFresh, signal);
    return way;
  }
  if (context.onlyAdvance) throw new ComputeError('conflict', 'the file system cannot clone');
  await removeTree(dir.nextTemplate, signal);
  await unpackSource(dir.nextFresh, source, onCopied, signal);
  await recover({ path: dir.nextFresh, tools, socketDir: dir.run, log }, source, signal);
  await flush(dir.nextFresh, tools, signal);
  return 'unpacked';
}

const flushMs = 3_600_000;

/** Brings it to the disk: otherwise the small files that a wake makes durable would wait for all of it, on ext4. (A clone does that by
 *  itself.) */
async function flush(path: string, { postgres, env }: Tools, signal: AbortSignal): Promise<void> {
  const command = postgres.sibling('initdb');
  await runOk({ command, args: ['--sync-only', '-D', path], env, cwd: '/', limitMs: flushMs }, signal);
}

const noteOf = ({ state, tools }: PrepareContext, { base, last }: Source): PreparedNote => ({
  tenantId: state.tenantId,
  timelineId: state.timelineId,
  lsn: last.end,
  checkpoint: last.start,
  systemId: base.systemId,
  postgresMajor: tools.postgres.major,
  postgresTimeline: base.timeline,
  bootId: bootId(),
  version: buildVersion,
});

const idleMs = 10_000;

/** The last WAL of the compute has arrived. */
async function idleStorage(state: LocalState, signal: AbortSignal): Promise<StorageStatus> {
  const look = async (limited: AbortSignal): Promise<StorageStatus | null> => {
    const status = await needStorage(state, limited);
    return status.attached ? null : status;
  };
  const status = await poll(look, { everyMs: 100, limitMs: idleMs }, signal);
  if (status !== null) return status;
  throw new ComputeError('conflict', 'a compute is still attached to the storage');
}

/** What is refused gives back what an earlier one has left. */
async function makeRoom(context: PrepareContext, source: Source, signal: AbortSignal): Promise<void> {
  const { dir } = context;
  const allBytes = bytesOf(source);
  const newBytes = newBytesOf(dir, noteOf(context, source), source) ?? allBytes;
  try {
    await checkRoom(context, allBytes, newBytes);
  } catch (error) {
    await removeTree(dir.nextTemplate, signal);
    throw error;
  }
}
