// What CI runs: checks, build, unit tests, tests with real servers, tests of the built programs. Ends with one line of figures.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checks, failedChecks } from './check.mjs';
import { copyOfCheckout, isPrivateCheckout } from './private-checkout.mjs';
import { root, run } from './run.mjs';
import { joinCache, testCache } from './shared-cache.mjs';
import { reportVariable } from './test-report.mjs';

if (isPrivateCheckout(root)) {
  // The tests of servers give up root, as the programs do.
  const copy = copyOfCheckout(root);
  console.log(`Testing in ${copy}, because the user of the servers cannot enter ${root}`);
  const { status } = spawnSync(process.execPath, ['scripts/test.mjs'], { cwd: copy, stdio: 'inherit' });
  rmSync(dirname(copy), { recursive: true, force: true });
  process.exit(status ?? 1);
}
const scratch = mkdtempSync(join(tmpdir(), 'compute-ctl-test-'));
const total = { passed: 0, skipped: 0 };
/** What failed and why, told again at the end: of a long output people and CI keep the end. @type {string[]} */
const failures = [];

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
  for (const project of ['unit', 'pg', 'e2e']) count(project);
  // That an idle compute does not grow shows only in time; `npm run bench:idle` takes half an hour for it.
  passed('bench idle', ['scripts/bench.mjs', 'idle', '--seconds', '30']);
}

function passed(name, script) {
  const good = run(process.execPath, script);
  if (good) total.passed++;
  else failures.push(name);
  return good;
}

function count(project) {
  const report = join(scratch, project);
  const reporters = ['--reporter=default', '--reporter=./scripts/test-report.mjs'];
  const vitest = ['run', '--project', project, '--passWithNoTests', ...reporters];
  const env = { ...process.env, [reportVariable]: report };
  const clean = run('node_modules/.bin/vitest', vitest, { env });
  if (!existsSync(report)) {
    failures.push(`${project}: the run left no report`);
    return;
  }
  const found = JSON.parse(readFileSync(report, 'utf8'));
  total.passed += found.passed;
  total.skipped += found.skipped;
  failures.push(...found.failures);
  if (!clean && found.failures.length === 0) failures.push(`${project}: Vitest ended with an error`);
}
