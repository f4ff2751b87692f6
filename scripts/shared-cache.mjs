// A directory that all runs of the tests on this machine share, since it takes long to fill. One that `npm test` has made goes
// with the last run that uses it; one that a single `vitest` has made stays, so that the next begins at once.
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The servers, the client tools and the empty clusters of the tests. */
export const testCache = '/var/tmp/compute-ctl-test-postgres';

const marker = 'temporary';
const usersOf = (dir) => join(dir, 'users');

/** Uses the directory, and makes it if it is missing, until the function that this returns is called.
 *  @param isTemporary a directory that is made now goes with its last user */
export function joinCache(dir, isTemporary) {
  const mine = nameOf(process.pid);
  for (let tries = 0; ; tries++) {
    try {
      const isNew = mkdirSync(dir, { recursive: true, mode: 0o755 }) !== undefined;
      if (isNew && isTemporary) writeFileSync(join(dir, marker), '');
      mkdirSync(usersOf(dir), { recursive: true });
      writeFileSync(join(usersOf(dir), mine), '');
      break;
    } catch (error) {
      // Removed between two of the calls, by another run that ends just now.
      if (error.code !== 'ENOENT' || tries === 10) throw error;
    }
  }
  return () => {
    rmSync(join(usersOf(dir), mine), { force: true });
    removeUnused(dir);
  };
}

function removeUnused(dir) {
  if (!existsSync(join(dir, marker)) || users(dir).length > 0) return;
  const aside = `${dir}.${process.pid}`;
  try {
    renameSync(dir, aside);
  } catch {
    return; // another run was faster
  }
  try {
    // Somebody may have come in the last moment.
    if (users(aside).length > 0) return renameSync(aside, dir);
  } catch {
    // And has made a new one meanwhile.
  }
  rmSync(aside, { recursive: true, force: true, maxRetries: 5 });
}

/** Runs that live; the file of one that was killed counts for nothing. */
function users(dir) {
  const names = existsSync(usersOf(dir)) ? readdirSync(usersOf(dir)) : [];
  return names.filter((name) => name === nameOf(Number(name.split('-')[0])));
}

/** Pid and start time, in clock ticks since boot where the system tells them; null when there is no such process. */
function nameOf(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return null;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return `${pid}-${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return `${pid}-0`;
  }
}
