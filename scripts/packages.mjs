import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.mjs';

/** Installs what a lock file lists, unless that is there already. False when npm failed.
 *  @param {string} dir @param {readonly string[]} options for npm
 *  npm writes node_modules/.package-lock.json last: older than the lock file, or missing, means not installed. */
export function installPackages(dir, options = []) {
  const installed = join(dir, 'node_modules/.package-lock.json');
  const lock = join(dir, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return true;
  // On stderr: the stdout of a script may be its answer.
  console.error(`Installing the packages of ${lock} ...`);
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  if (!run('npm', ['ci', ...quiet, ...options], { cwd: dir, stdio: ['ignore', 2, 2] })) return false;
  // The check above compares times; npm keeps the time of an unchanged file.
  if (existsSync(installed)) writeFileSync(installed, readFileSync(installed));
  return true;
}
