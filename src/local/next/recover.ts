import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { raceAbort, withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { restartPointIn } from '../../postgres/control-file.ts';
import { removeStaleSockets } from '../../postgres/stale-sockets.ts';
import { Watcher } from '../../postgres/watcher.ts';
import { endChild } from '../../process/end.ts';
import { startProcess } from '../../process/process.ts';
import type { Tools } from '../storage/tools.ts';
import type { Source } from './source.ts';

export interface Recovery {
  /** A data directory with all WAL that it needs. */
  readonly path: string;
  readonly tools: Tools;
  /** For its socket, through which nobody can log in. */
  readonly socketDir: string;
  readonly log: Log;
}

/** Not that of the storage's own server. */
const port = 65_431;
const limitMs = 3_600_000;

/** It replays up to the checkpoint that is the last record, and then stops itself. It never takes connections. */
const settings = (socketDir: string, target: Lsn): Record<string, string | number> => ({
  listen_addresses: '',
  unix_socket_directories: socketDir,
  unix_socket_permissions: '0700',
  port,
  // In the directory: what a killed one leaves goes with that.
  dynamic_shared_memory_type: 'mmap',
  fsync: 'off',
  full_page_writes: 'off',
  hot_standby: 'off',
  // All WAL is there; when it ends before the target, the recovery fails at once.
  restore_command: 'false',
  recovery_target_lsn: formatLsn(target),
  recovery_target_action: 'shutdown',
  recovery_target_timeline: 'current',
  // As on the compute that uses it.
  wal_keep_size: '64MB',
  wal_recycle: 'off',
});

/** Has PostgreSQL replay all WAL, and proves it: its control file says that it was stopped in order, with every page as it is at the last
 *  record of the storage.
 *  @throws ComputeError `local_storage`, `deadline`; AbortError */
export async function recover(
  { path, tools, socketDir, log }: Recovery,
  { last, base }: Source,
  signal: AbortSignal,
): Promise<void> {
  for (const name of ['recovery.signal', 'postgresql.conf']) writeFileSync(join(path, name), '');
  removeStaleSockets({ directories: socketDir, port: String(port) }, log);
  const said: string[] = [];
  const watcher = await Watcher.start(path, tools.env, log);
  try {
    const options = Object.entries(settings(socketDir, last.start));
    const child = await startProcess({
      command: tools.postgres.path,
      args: ['-D', path, ...options.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      env: tools.env,
      cwd: '/',
      stdout: 'ignore',
      onStderrLine: (line) => void said.splice(0, Math.max(0, said.push(line) - 20)),
      detached: true,
    });
    try {
      await withDeadline('the recovery', limitMs, signal, (limited) => raceAbort(child.exited, limited));
    } finally {
      const steps = [
        { signal: 'SIGQUIT', graceMs: 5000 },
        { signal: 'SIGKILL', graceMs: 5000 },
      ] as const;
      await endChild(child, steps, signal, { group: true, stuck: 'postgres_stuck' });
    }
  } finally {
    await watcher?.stop();
  }
  const found = restartPointIn(join(path, 'global/pg_control'));
  if (found?.checkpoint !== last.start || found.systemId !== base.systemId)
    throw new ComputeError(
      'local_storage',
      `the recovery did not end at the checkpoint at ${formatLsn(last.start)}: ${said.slice(-5).join('; ')}`,
    );
  for (const name of madeByRecovery) rmSync(join(path, name), { force: true });
}

const madeByRecovery = [
  'recovery.signal',
  'postgresql.conf',
  'backup_label.old',
  'tablespace_map.old',
  'postmaster.opts',
];
