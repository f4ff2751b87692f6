// What CI runs: checks, build, unit tests, tests with real servers, tests of the built programs. Ends with one line of figures.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checks, failedChecks } from './check.mjs';
import { copyOfCheckout, isPrivateCheckout } from './private-checkout.mjs';
import { root, run } from './run.mjs';
import { withRuntime } from './runtime.mjs';
import { joinCache, testCache } from './shared-cache.mjs';
import { reportVariable } from './test-report.mjs';

if (isPrivateCheckout(root)) {
  // The tests of servers give up root, as the programs do.
  const copy = copyOfCheckout(root);
  console.log(`Testing in ${copy}, because the user of the servers cannot enter ${root}`);
  // The copy's own Node, when it is in the checkout.
  const node = process.execPath.startsWith(root)
    ? join(copy, process.execPath.slice(root.length))
    : process.execPath;
  const { status } = spawnSync(node, ['scripts/test.mjs'], { cwd: copy, stdio: 'inherit' });
  rmSync(dirname(copy), { recursive: true, force: true });
  process.exit(status ?? 1);
}
const scratch = mkdtempSync(join(tmpdir(), 'compute-ctl-test-'));
const total = { passed: 0, skipped: 0 };
/** What failed and why, told again at the end: of a long output people and CI keep the end. @type {string[]} */
const failures = [];

/** What runs on the other versions of Node that the bundles are for; vitest itself and all else runs on the pinned one. */
const otherRuntimes = [
  { major: 22, files: ['test/e2e/life.test.ts'] },
  // Signals, since for some of them there is no public function.
  { major: 26, files: ['test/e2e/life.test.ts', 'test/e2e/signals.test.ts'] },
];

// The tools in node_modules/.bin are started by `env node`.
Object.assign(process.env, withRuntime(process.env, process.execPath));
const leaveCache = joinCache(testCache, true);
try {
  testAll();
} finally {
  rmSync(scratch, { recursive: true, force: true });
  leaveCache();
}
for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`\n${total.passed} passed, ${failures.length} failed, ${total.skipped} skipped`);
process.exitCode = failures.length === 0 ? 0 : 1;

function testAll() {
  const failed = failedChecks();
  total.passed += checks.length - failed.length;
  for (const name of failed) failures.push(`check ${name}`);
  if (!passed('build', ['scripts/build.mjs'])) return;
  for (const project of ['unit', 'pg', 'e2e']) count(project, project);
  for (const { major, files } of otherRuntimes) {
    const node = join(root, `test/runtimes/node_modules/node-${major}-${process.arch}/bin/node`);
    count(`e2e on Node ${major}`, 'e2e', files, { COMPUTE_TEST_NODE: node });
  }
  // That an idle compute does not grow shows only in time; `npm run bench:idle` takes half an hour for it.
  passed('bench idle', ['scripts/bench.mjs', 'idle', '--seconds', '30']);
}

function passed(name, script) {
  const good = run(process.execPath, script);
  if (good) total.passed++;
  else failures.push(name);
  return good;
}

/** Runs the tests of a project, or those of some of its files. */
function count(name, project, files = [], extraEnv = {}) {
  const report = join(scratch, name);
  const reporters = ['--reporter=default', '--reporter=./scripts/test-report.mjs'];
  const vitest = ['run', '--project', project, '--passWithNoTests', ...reporters, ...files];
  const env = { ...process.env, ...extraEnv, [reportVariable]: report };
  const clean = run('node_modules/.bin/vitest', vitest, { env });
  if (!existsSync(report)) {
    failures.push(`${name}: the run left no report`);
    return;
  }
  const found = JSON.parse(readFileSync(report, 'utf8'));
  total.passed += found.passed;
  total.skipped += found.skipped;
  failures.push(...(name === project ? found.failures : found.failures.map((one) => `${name}: ${one}`)));
  if (!clean && found.failures.length === 0) failures.push(`${name}: Vitest ended with an error`);
}
