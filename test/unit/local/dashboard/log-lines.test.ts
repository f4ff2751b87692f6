import { appendFileSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { logLine, noHistory, withLines } from '../../../../src/local/dashboard/log-lines.ts';
import { LogTail } from '../../../../src/local/dashboard/log-tail.ts';

const at = '2026-01-02T03:04:05.678Z';
const finished = (ms: number): string =>
  `${at}  INFO compute start finished total_ms=${ms} steps={"write-config":6,"start-postgres":64}`;

test('a start is found with its phases, the newest first', () => {
  const { starts } = withLines(withLines(noHistory, [finished(1)]), ['other', finished(2), finished(3)]);
  expect(starts.map(({ totalMs }) => totalMs)).toEqual([3, 2, 1]);
  expect(starts[0]).toEqual({
    at,
    totalMs: 3,
    steps: [
      { name: 'write-config', ms: 6 },
      { name: 'start-postgres', ms: 64 },
    ],
  });
});

test('changes of the status and the last pass over the catalog are found', () => {
  const { changes, applied } = withLines(noHistory, [
    `${at}  INFO Changing compute status from empty to init`,
    `${at}  INFO applied the spec to the catalog statements=9 duration_ms=205`,
    `${at}  INFO Changing compute status from running to termination-pending-fast`,
    `${at}  INFO the catalog is as the spec asks statements=0 duration_ms=45`,
  ]);
  expect(changes).toEqual([
    { at, from: 'running', to: 'termination_pending_fast' },
    { at, from: 'empty', to: 'init' },
  ]);
  expect(applied).toEqual({ at, statements: 0, ms: 45 });
});

test('what only looks like such a line is none', () => {
  const lines = [
    `PG:LOG: ${finished(1)}`,
    `${at}  INFO compute start finished total_ms=1 steps={broken}`,
    `${at}  INFO Changing compute status from empty to init and more`,
  ];
  expect(withLines(noHistory, lines)).toEqual(noHistory);
});

test('no more is kept than the page shows', () => {
  const { starts, changes } = withLines(
    noHistory,
    Array.from({ length: 100 }, (_, each) => [
      finished(each),
      `${at}  INFO Changing compute status from init to running`,
    ]).flat(),
  );
  expect([starts.length, changes.length, starts[0]?.totalMs]).toEqual([12, 24, 99]);
});

test('answered requests are told apart', () => {
  expect(logLine(`${at}  INFO GET /status answered request_id=x code=200 latency=1`).isRequest).toBe(true);
  expect(logLine(`${at}  INFO POST /configure request_id=x`).isRequest).toBe(false);
});

test('a log is followed by whole lines, also into the file that takes its place', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'dashboard-')), 'a.log');
  const tail = new LogTail(path);
  expect(tail.read()).toEqual([]);
  writeFileSync(path, 'one\ntw');
  expect(tail.read()).toEqual(['one']);
  appendFileSync(path, 'o\nthree\n');
  expect(tail.read()).toEqual(['two', 'three']);
  expect(tail.read()).toEqual([]);
  renameSync(path, `${path}.1`);
  writeFileSync(path, 'four\n');
  expect(tail.read()).toEqual(['four']);
});

test('of a very large log the end is read', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'dashboard-')), 'a.log');
  writeFileSync(path, `${'x'.repeat(99)}\n`.repeat(20_000));
  const lines = new LogTail(path).read();
  expect(lines.length).toBeGreaterThan(10_000);
  expect(lines.length).toBeLessThan(20_000);
  expect(new Set(lines)).toEqual(new Set(['x'.repeat(99)]));
});
