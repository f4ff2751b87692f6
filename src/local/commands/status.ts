import { never } from '../../core/abort.ts';
import { computeStatus, getJson } from '../compute-api.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { type LocalDir, readState } from '../state.ts';
import { troubleLines } from '../show-troubles.ts';
import type { StorageStatus } from '../storage/storage-status.ts';

/** Prints which parts are running. Exit code 0: the compute is running; 3: it is not, or not yet. */
export async function status(dir: LocalDir, json: boolean): Promise<number> {
  const state = readState(dir);
  const pid = readPidFile(dir.upPid)?.pid ?? null;
  const compute = state === null ? null : await computeStatus(state, never);
  const storage =
    state === null
      ? null
      : await getJson<StorageStatus>(
          `http://127.0.0.1:${state.ports.controlPlane}/status`,
          state.controlPlaneToken,
          never,
        );
  const running = pid !== null && compute?.status === 'running';
  if (json) {
    const body = { running, pid, dir: dir.root, ports: state?.ports ?? null, compute, storage };
    process.stdout.write(`${JSON.stringify(body)}\n`);
    return running ? 0 : 3;
  }
  const lines = [
    pid === null ? `not running (${dir.root})` : `running as pid ${pid} (${dir.root})`,
    ...(compute === null
      ? []
      : [`compute   ${compute.status}${compute.error === null ? '' : `: ${compute.error}`}`]),
    ...(storage === null ? [] : [storageLine(storage), ...troubleLines(storage)]),
    ...(state === null ? ['nothing was created here yet: run `compute-local up`'] : []),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return running ? 0 : 3;
}

const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`;

const storageLine = ({ end_lsn, base, wal_bytes, compaction_at_bytes, attached }: StorageStatus): string =>
  `storage   up to ${end_lsn}, ${attached ? 'receiving' : 'not receiving'} WAL; base backup ${base.number} of PostgreSQL ` +
  `${base.postgres_major} plus ${megabytes(wal_bytes)} of WAL (the next base backup at ${megabytes(compaction_at_bytes)})`;
