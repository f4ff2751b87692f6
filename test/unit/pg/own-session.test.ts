import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const src = join(import.meta.dirname, '../../../src');
const connects = /\b(?:connectPg|withPg)\(/;
/** What makes a session of ours: `ownSession` itself, or the catalog's and the requests' forms of it. */
const pins = /\b(?:ownSession|sessionOptions)\(/;
/** The connections themselves, and those to pageservers, safekeepers and pgbouncer's console. */
const others = /^(?:pg\/client\.ts|storage\/|services\/pgbouncer\/admin\.ts)/;

test('every connection to the Postgres of a compute pins the settings that users attach to databases', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const connecting = files.filter((name) => !others.test(name) && connects.test(read(name)));
  expect(connecting).toContain('vm-monitor/file-cache.ts');
  expect(connecting).toContain('local/storage/compute-link.ts');
  // The monitor's get their target from monitor.ts.
  const unpinned = connecting.filter((name) => !pins.test(read(name)));
  expect(unpinned).toEqual(['monitor/checks.ts']);
  expect(read('monitor/monitor.ts')).toMatch(pins);
});

const read = (name: string): string => readFileSync(join(src, name), 'utf8');
