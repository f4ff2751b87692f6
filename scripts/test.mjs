// What CI runs: checks, build, unit tests, tests with real servers, tests of the built programs. Ends with one line of figures.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { checks, failedChecks } from './check.mjs';
import { run } from './run.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'compute-ctl-test-'));
const total = { passed: 0, skipped: 0 };
/** What failed and why, told again at the end: of a long output people and CI keep the end. @type {string[]} */
const failures = [];

const failed = failedChecks();
total.passed += checks.length - failed.length;
for (const name of failed) failures.push(`check ${name}`);

if (passed('build', ['scripts/build.mjs'])) {
  for (const project of ['unit', 'pg', 'e2e']) count(project);
  // That an idle compute does not grow shows only in time; `npm run bench:idle` takes half an hour for it.
  passed('bench idle', ['scripts/bench.mjs', 'idle', '--seconds', '30']);
}

rmSync(scratch, { recursive: true, force: true });
for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`\n${total.passed} passed, ${failures.length} failed, ${total.skipped} skipped`);
process.exitCode = failures.length === 0 ? 0 : 1;

function passed(name, script) {
  const good = run(process.execPath, script);
  if (good) total.passed++;
  else failures.push(name);
  return good;
}

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
    failures.push(`${project}: the run left no report`);
    return;
  }
  total.passed += result.numPassedTests;
  total.skipped += result.numPendingTests + result.numTodoTests;
  const told = failures.length;
  for (const file of result.testResults) {
    const tests = file.assertionResults.filter((test) => test.status === 'failed');
    for (const test of tests) {
      failures.push(`${relative('.', file.name)}: ${test.fullName}\n${indented(test.failureMessages)}`);
    }
    // A file that breaks off before its tests, or in its hooks, has none that failed.
    if (file.status === 'failed' && tests.length === 0) {
      failures.push(`${relative('.', file.name)}\n${indented([file.message])}`);
    }
  }
  if (!clean && failures.length === told) failures.push(`${project}: an error outside any test`);
}

function indented(messages) {
  const lines = messages.flatMap((message) => message.split('\n'));
  return lines
    .slice(0, 20)
    .map((line) => `  ${line}`)
    .join('\n');
}
