import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { killAllOf } from './compute.ts';
import type { Victim } from './data-safety-actions.ts';
import type { LocalRig } from './local.ts';
import { eventually } from './program.ts';

/** Kills one process of a directory of compute-local with SIGKILL, if it runs. */
export function killOf(rig: LocalRig, what: Exclude<Victim, 'up' | 'all'>): void {
  const { tenantId, timelineId } = rig.state() as unknown as Record<string, string>;
  const files = {
    postgres: 'pgdata/postmaster.pid',
    compute_ctl: 'compute_ctl.pid',
    storage: 'storage.pid',
    receiver: `storage/${tenantId}/${timelineId}/receiver.pid`,
    'node postgres': 'nodes/replica/pgdata/postmaster.pid',
    'node compute_ctl': 'nodes/replica/compute_ctl.pid',
  };
  killNamedIn(rig.dir, files[what]);
}

/** Kills everything that runs in a directory of compute-local, as when the machine fails: the supervisors first. */
export async function killAllPrograms(dir: string): Promise<void> {
  const killed = processesOf(dir);
  const nodes = existsSync(join(dir, 'nodes')) ? readdirSync(join(dir, 'nodes')) : [];
  const homes = ['', ...nodes.map((name) => `nodes/${name}`)];
  for (const file of ['up.pid', 'storage.pid', 'compute_ctl.pid'])
    for (const home of homes) killNamedIn(dir, join(home, file));
  killAllOf(dir);
  // After the failure of a machine no process is left that has ended and is not reaped yet. Here init takes seconds for that, and
  // PostgreSQL takes such a process for the owner of a socket.
  await eventually('the end of what was killed', () =>
    killed.some((pid) => existsSync(`/proc/${pid}`)) ? undefined : true,
  );
}

/** Those that work in the directory, or name it in their command line. */
function processesOf(dir: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => pid !== process.pid && uses(pid, dir));
}

function uses(pid: number, dir: string): boolean {
  try {
    return (
      readlinkSync(`/proc/${pid}/cwd`).startsWith(dir) ||
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir)
    );
  } catch {
    return false;
  }
}

/** Only what runs in this directory: a pid of a file may be another process's by now. */
function killNamedIn(dir: string, file: string): void {
  try {
    const text = readFileSync(join(dir, file), 'utf8');
    const pid = text.startsWith('{')
      ? (JSON.parse(text) as { pid: number }).pid
      : Number(text.split('\n')[0]);
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir)) process.kill(pid, 'SIGKILL');
  } catch {
    // There is no such file, or it has ended.
  }
}
