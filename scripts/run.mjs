// Small helpers shared by the scripts; nothing here needs node_modules.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command with our own output, from the root of the repository; true when it exits 0. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) console.error(`${command}: ${error.message}`);
  return status === 0;
}

/** Ends the script with words for people instead of a stack trace. */
export function die(message) {
  console.error(`\n${message}`);
  process.exit(1);
}
