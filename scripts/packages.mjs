import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.mjs';

/** Installs what a lock file lists, unless that is there already. False when npm failed.
 *  npm writes node_modules/.package-lock.json last: older than the lock file, or missing, means not installed. */
export function installPackages(dir) {
  const installed = join(dir, 'node_modules/.package-lock.json');
  const lock = join(dir, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return true;
  console.log(`Installing the packages of ${lock} ...`);
  if (!run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: dir })) return false;
  // The check above compares times; npm keeps the time of an unchanged file.
  if (existsSync(installed)) writeFileSync(installed, readFileSync(installed));
  return true;
}
