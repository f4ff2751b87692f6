import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { killAllOf } from './compute.ts';
import type { Victim } from './data-safety-actions.ts';
import type { LocalRig } from './local.ts';

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
export function killAllPrograms(dir: string): void {
  const nodes = existsSync(join(dir, 'nodes')) ? readdirSync(join(dir, 'nodes')) : [];
  const homes = ['', ...nodes.map((name) => `nodes/${name}`)];
  for (const file of ['up.pid', 'storage.pid', 'compute_ctl.pid'])
    for (const home of homes) killNamedIn(dir, join(home, file));
  killAllOf(dir);
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
