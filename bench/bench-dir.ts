import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';

/** A new directory that every user can enter, in one of `--dir`, which is made where it is missing. */
export function benchDir(parent: string): string {
  mkdirSync(parent, { recursive: true });
  const dir = mkdtempSync(join(parent, 'compute-ctl-bench-'));
  chmodSync(dir, 0o755);
  return dir;
}
