// Asks the registry for known vulnerabilities of everything that a lock file lists. `npm run audit`; not a part of `npm test`, since the
// answer changes without a change here, and not every registry answers.
// Exit code: 0 none, 1 there are some, 2 the registry could not be asked.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './run.mjs';

const folders = [
  '.',
  ...['scripts/runtime', 'scripts/client-types'],
  ...['test/browser', 'test/package-checks', 'test/runtimes', 'test/servers'],
];

const result = { found: false, unreachable: false };
for (const folder of folders) {
  const { stdout } = spawnSync('npm', ['audit', '--package-lock-only', '--json'], {
    cwd: join(root, folder),
    encoding: 'utf8',
  });
  const { metadata, message, vulnerabilities = {} } = read(stdout);
  const total = metadata?.vulnerabilities?.total;
  if (total === undefined) {
    console.error(`${folder}: the registry could not be asked: ${message ?? 'npm audit failed'}`);
    result.unreachable = true;
    continue;
  }
  console.log(`${folder}: ${total === 0 ? 'nothing known' : `${total} with known vulnerabilities`}`);
  for (const { name, severity, range } of Object.values(vulnerabilities))
    console.log(`  ${name} ${range}: ${severity}`);
  result.found ||= total > 0;
}
process.exitCode = result.found ? 1 : result.unreachable ? 2 : 0;

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
