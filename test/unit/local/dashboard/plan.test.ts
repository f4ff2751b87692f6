import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { pendingPlan, planKey } from '../../../../src/local/dashboard/plan.ts';
import { accept, writeAccepted } from '../../../../src/local/desired/accepted.ts';
import { readDesired } from '../../../../src/local/desired/read.ts';
import { createState, localDir } from '../../../../src/local/state.ts';

const root = mkdtempSync(join(tmpdir(), 'plan-'));
const dir = localDir(root);
const file = join(root, 'compute.json');
const ports = {
  ...{ postgres: 1, externalHttp: 2, internalHttp: 3 },
  ...{ pageserver: 4, safekeeper: 5, controlPlane: 6 },
};

beforeAll(() => void createState(dir, ports, { listenAll: false }, null));
afterAll(() => rmSync(root, { recursive: true }));

test('without a compute.json it says how to get one', async () => {
  expect(await pendingPlan(dir, never)).toMatchObject({
    ...{ state: 'absent', file, changes: [], problems: [], digest: null },
    hint: expect.stringContaining('compute-local init') as string,
  });
});

test('a fault is named with its path and its place, whatever it has in it', async () => {
  writeFileSync(file, '{\n  "settings": { "port": 1 },\n  "<img src=x onerror=alert(1)>": 1\n}\n');
  const { state, problems, error, hint } = await pendingPlan(dir, never);
  expect([state, error]).toEqual(['faulty', null]);
  expect(hint).toContain('correct the file');
  expect(problems.map(({ line }) => line)).toContain(3);
  expect(JSON.stringify(problems)).toContain('<img src=x onerror=alert(1)>');
  writeFileSync(file, '{ "roles": [');
  expect(await pendingPlan(dir, never)).toMatchObject({ state: 'faulty', problems: [{ line: 1 }] });
});

test('a link that leads nowhere, and one to itself, is no end of the page', async () => {
  rmSync(file);
  symlinkSync('compute.json', file);
  expect(planKey(dir)).toContain('ELOOP');
  expect(await pendingPlan(dir, never)).toMatchObject({ state: 'faulty', problems: [], changes: [] });
  rmSync(file);
});

test('while Postgres does not run it is compared with what was applied last, and nothing is changed', async () => {
  const before = planKey(dir);
  writeFileSync(file, '{ "roles": [{ "name": "ann" }], "settings": { "work_mem": "8MB" } }');
  expect(planKey(dir)).not.toBe(before);
  const first = await pendingPlan(dir, never);
  expect(first).toMatchObject({
    ...{ state: 'known', against: 'last apply', appliedAt: null, left: [] },
    changes: ['+ role "ann"', '~ setting work_mem: 8MB'],
  });
  const accepted = accept(readDesired(dir, null).desired, file, null);
  writeAccepted(dir, accepted);
  const second = await pendingPlan(dir, never);
  expect(second).toMatchObject({ changes: [], left: [], appliedAt: accepted.at, digest: first.digest });
  writeFileSync(file, '{}');
  const third = await pendingPlan(dir, never);
  expect(third).toMatchObject({ left: ['role "ann"'], drops: ['role "ann"'] });
  expect(third.digest).not.toBe(first.digest);
  expect(JSON.stringify([first, second, third])).not.toContain(accepted.logins['ann']?.password);
});
