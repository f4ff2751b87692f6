// What CI runs: checks, build, unit tests, tests with real servers, tests of the built programs. Ends with one line of figures.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks, failedChecks } from './check.mjs';
import { run } from './run.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'compute-ctl-test-'));
const total = { passed: 0, failed: 0, skipped: 0 };

const failed = failedChecks();
total.failed += failed.length;
total.passed += checks.length - failed.length;
for (const name of failed) console.error(`check failed: ${name}`);

if (run(process.execPath, ['scripts/build.mjs'])) {
  total.passed++;
  for (const project of ['unit', 'pg', 'e2e']) count(project);
  // That an idle compute does not grow shows only in time; `npm run bench:idle` takes half an hour for it.
  if (run(process.execPath, ['scripts/bench.mjs', 'idle', '--seconds', '30'])) total.passed++;
  else total.failed++;
} else {
  total.failed++;
}

rmSync(scratch, { recursive: true, force: true });
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;

function count(project) {
  const report = join(scratch, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const clean = run('node_modules/.bin/vitest', [
    'run',
    '--project',
    project,
    '--passWithNoTests',
    ...reporters,
  ]);
  let result;
  try {
    result = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    total.failed++;
    return;
  }
  total.passed += result.numPassedTests;
  total.skipped += result.numPendingTests + result.numTodoTests;
  // An error outside any test fails the run without failing a test.
  total.failed += result.numFailedTests || (clean ? 0 : 1);
}
