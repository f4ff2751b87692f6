import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { osUser } from './postgres-versions.ts';

/** Where everything of this run of the tests lies; its workers find it in their environment. */
const variable = 'COMPUTE_CTL_TEST_HOME';
const memory = '/dev/shm';

/** Makes the directory of this run. @returns removes it with all that the run has left, also in memory */
export function makeRunHome(): () => void {
  const home = mkdtempSync('/var/tmp/compute-ctl-run-');
  chmodSync(home, 0o755);
  if (osUser !== null) chownSync(home, osUser.uid, osUser.gid);
  process.env[variable] = home;
  return () => {
    remove(home);
    if (!existsSync(memory)) return;
    for (const name of readdirSync(memory)) {
      if (name.startsWith(memoryPrefix(home))) remove(join(memory, name));
    }
  };
}

function remove(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    process.stderr.write(`${path} is left behind: ${String(error)}\n`);
  }
}

/** Short, since sockets lie below it. */
const memoryPrefix = (home: string): string => `cl-${basename(home).split('-').at(-1)}-`;

/** A directory of its own, owned by the OS user of the servers. The caller removes it; what a failed test leaves goes at the
 *  end of the run. */
export function scratchDir(prefix: string): string {
  const home = process.env[variable];
  const dir = mkdtempSync(home === undefined ? `/var/tmp/compute-ctl-${prefix}-` : join(home, `${prefix}-`));
  chmodSync(dir, 0o755);
  if (osUser !== null) chownSync(dir, osUser.uid, osUser.gid);
  return dir;
}

/** The same in memory where there is one, and with a short path: what is tested is the death of processes, not of disks. */
export function memoryDir(): string {
  const home = process.env[variable];
  if (home === undefined || !existsSync(memory)) return scratchDir('cl');
  const dir = mkdtempSync(join(memory, memoryPrefix(home)));
  chmodSync(dir, 0o755);
  return dir;
}
