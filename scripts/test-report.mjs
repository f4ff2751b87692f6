import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

/** Where the figures go: the environment, since Vitest makes its reporters itself. */
export const reportVariable = 'COMPUTE_CTL_TEST_REPORT';

/** A reporter of Vitest that keeps `{ passed, skipped, failures }`, with errors that belong to no test among the failures. */
export default class TestReport {
  onTestRunEnd(files, unhandled) {
    const counts = { passed: 0, skipped: 0 };
    const failures = unhandled.map((error) => told('an error outside any test', [error]));
    for (const file of files) {
      const name = relative('.', file.moduleId);
      if (file.errors().length > 0) failures.push(told(name, file.errors()));
      for (const suite of file.children.allSuites()) {
        if (suite.errors().length > 0) failures.push(told(`${name}: ${suite.fullName}`, suite.errors()));
      }
      for (const test of file.children.allTests()) {
        const { state, errors } = test.result();
        if (state === 'failed') failures.push(told(`${name}: ${test.fullName}`, errors));
        else counts[state === 'passed' ? 'passed' : 'skipped']++;
      }
    }
    writeFileSync(process.env[reportVariable], JSON.stringify({ ...counts, failures }));
  }
}

const maxLines = 20;

function told(what, errors) {
  const lines = errors.flatMap(({ message, stack }) => (stack ?? message ?? 'no message').split('\n'));
  return [what, ...lines.slice(0, maxLines).map((line) => `  ${line}`)].join('\n');
}
