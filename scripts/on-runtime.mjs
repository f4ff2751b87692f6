// Runs a tool or a script of ours on the pinned Node: `node scripts/on-runtime.mjs vitest run`, `… scripts/build.mjs`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './run.mjs';
import { runtime, withRuntime } from './runtime.mjs';

const [what = '', ...args] = process.argv.slice(2);
const node = runtime();
const command = what.endsWith('.mjs') ? [node, join(root, what)] : [join(root, 'node_modules/.bin', what)];
// Ctrl-C in the terminal reaches both; the one that works decides what follows.
process.on('SIGINT', () => {});
const { status, error } = spawnSync(command[0], [...command.slice(1), ...args], {
  stdio: 'inherit',
  env: withRuntime(process.env, node),
});
if (error) console.error(error.message);
process.exitCode = status ?? 1;
