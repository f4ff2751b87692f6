// Everything that can be said about the sources without running them. `npm run check`; also the first part of `npm test`.
import { run } from './run.mjs';

const bin = (name, ...args) => ['node_modules/.bin/' + name, args];

export const checks = [
  ['format', ...bin('oxfmt', '--check')],
  ['lint', ...bin('oxlint', '--type-aware', '--deny-warnings')],
  ['folders', process.execPath, ['scripts/folders.mjs']],
  ['types', ...bin('tsc', '--noEmit')],
  ['types of the page', ...bin('tsc', '--noEmit', '-p', 'src/local/dashboard/page')],
  ['docs', process.execPath, ['scripts/docs.mjs', '--check']],
  ['security', process.execPath, ['scripts/security-tests.mjs']],
];

/** Runs all of them, whatever the earlier ones said, and returns the names of those that failed. */
export const failedChecks = () =>
  checks.filter(([, command, args]) => !run(command, args)).map(([name]) => name);

if (process.argv[1]?.endsWith('check.mjs')) {
  const failed = failedChecks();
  if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
