// The programs give up root, and are then a user who cannot read a checkout in a private directory such as /root.
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** True for root in a directory that other users cannot enter. */
export const isPrivateCheckout = (root) =>
  process.getuid?.() === 0 && ancestors(root).some((dir) => (statSync(dir).mode & 0o001) === 0);

/** A directory that other users can read, new and empty, for what belongs to this checkout; null when the checkout itself is
 *  one. */
export function placeForPrivateCheckout(root, name) {
  if (!isPrivateCheckout(root)) return null;
  const id = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const dir = join('/var/lib/compute-ctl-checkouts', id, name);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  return dir;
}

/** Copies the checkout there. @returns where it is */
export function copyOfCheckout(root) {
  const dir = placeForPrivateCheckout(root, 'checkout');
  cpSync(root, dir, {
    recursive: true,
    verbatimSymlinks: true,
    // What is newer than what decides whether packages are installed again.
    preserveTimestamps: true,
    filter: (path) => !['dist', 'build', '.git'].some((name) => path === join(root, name)),
  });
  return dir;
}

function ancestors(path) {
  const found = [path];
  for (let dir = path; dir !== dirname(dir); dir = dirname(dir)) found.push(dirname(dir));
  return found;
}
