import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { Metrics } from '../../../src/metrics/registry.ts';
import type { ServiceDeps } from '../../../src/services/service.ts';
import type { StorageReport } from '../../../src/services/reports.ts';
import { storageReport } from '../../../src/services/storage-report.ts';
import { eventually } from '../../support/program.ts';

const trouble = (part: string, kind: string) => ({
  part,
  kind,
  what: `${part} fails`,
  since: '2026-01-01T00:00:00.000Z',
  reason: 'because',
  act: 'Do this.',
  failures: 1,
});
const disk = { total_bytes: 100, free_bytes: 1, base_bytes: 5, wal_bytes: null, level: 'stop' };

/** What the service makes of an answer. */
async function reportOf(status: number, body: string) {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers.authorization);
    response.writeHead(status).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const never = new AbortController().signal;
  const metrics = new Metrics();
  const got: StorageReport[] = [];
  const deps = {
    log: pino({ level: 'silent' }),
    metrics,
    untilCalm: async () => {},
    onStorageReport: (report: StorageReport) => void got.push(report),
  } as unknown as ServiceDeps;
  const address = { url: `http://127.0.0.1:${port}/status`, token: async () => new Secret('tok') };
  const service = await storageReport.start?.(address, deps, never);
  try {
    const report = await eventually('a report', () => got[0]);
    return { report, health: service?.health, asked, metrics: await metrics.render() };
  } finally {
    await service?.stop(never);
    server.close();
  }
}

test('what keeps commits from returning is said before what does not', async () => {
  const troubles = [trouble('disk', 'writes_stopped'), trouble('receiver', 'disk_full')];
  const { report, health, asked, metrics } = await reportOf(200, JSON.stringify({ troubles, disk, more: 1 }));
  expect(report).toEqual({
    words: 'the storage says that the disk is full',
    trouble: { reason: 'receiver fails: because', act: 'Do this.' },
    writesStopped: true,
  });
  expect(health).toMatchObject({ state: 'failed', error: expect.stringContaining('disk fails') as string });
  expect(asked).toContain('Bearer tok');
  expect(metrics).toContain('compute_storage_disk_bytes{what="free"} 1');
  expect(metrics).not.toContain('what="wal"');
  expect(metrics).toContain('compute_storage_troubles{kind="disk_full",part="receiver"} 1');
});

test('a storage with which nothing is wrong is ok, and its disk is in the metrics', async () => {
  const { report, health } = await reportOf(200, JSON.stringify({ troubles: [], disk: null }));
  expect(report).toEqual({ words: null, trouble: null, writesStopped: false });
  expect(health).toMatchObject({ state: 'ok', error: null });
});

test.each([
  ['an error', 500, '{}'],
  ['nonsense', 200, '<html>'],
  [
    'words of its own instead of those that are known',
    200,
    JSON.stringify({ troubles: [trouble('x', 'rm -rf')], disk: null }),
  ],
  ['endlessly', 200, 'x'.repeat(1_000_000)],
] as const)('a storage that answers with %s counts as one that does not answer', async (_, status, body) => {
  const { report, health } = await reportOf(status, body);
  expect(report.words).toBe('the storage does not answer');
  expect(health?.state).toBe('failed');
});
