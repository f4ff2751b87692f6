import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { checkDistinct, choosePorts, isFree } from '../../../src/local/ports.ts';
import { crc32c } from '../../../src/local/storage/crc32c.ts';
import { Fence } from '../../../src/local/storage/fence.ts';
import { belongsToCompute } from '../../../src/local/storage/files.ts';
import { timelineDir } from '../../../src/local/storage/layout.ts';

function freshDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'local-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test('CRC-32C gives the check value of its definition, also in pieces', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.from('56789'), crc32c(Buffer.from('1234')))).toBe(0xe3069283);
});

test('every answer to a primary gets a higher number, which survives a restart', () => {
  const dir = timelineDir(freshDir(), '', '');
  const fence = new Fence(dir);
  expect([fence.generation, fence.next(), fence.next()]).toEqual([0, 1, 2]);
  expect(new Fence(dir).generation).toBe(2);
});

test('a damaged fence is refused: guessing could let two writers in', () => {
  const dir = timelineDir(freshDir(), '', '');
  writeFileSync(dir.fence, '{}');
  expect(() => new Fence(dir)).toThrow('damaged');
});

test('a port that is taken is replaced by a free one, the others are kept', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    await expect(isFree(port)).resolves.toBe(false);
    const ports = await choosePorts({
      postgres: port,
      externalHttp: port,
      internalHttp: port,
      pageserver: port,
      safekeeper: port,
      controlPlane: port,
    });
    const chosen = Object.values(ports);
    expect(chosen).not.toContain(port);
    expect(new Set(chosen).size).toBe(chosen.length);
    expect(chosen.filter((one) => one < 20_000 || one >= 32_768)).toEqual([]);
  } finally {
    server.close();
  }
});

test('no port is chosen for a dashboard that is turned off, and it conflicts with nothing', async () => {
  await expect(choosePorts({ dashboard: 0 })).resolves.toEqual({ dashboard: 0 });
  checkDistinct({ dashboard: 0, postgres: 1 });
  expect(() => checkDistinct({ postgres: 1, dashboard: 1 })).toThrow('the dashboard (--dashboard-port)');
});

test('files that every start writes anew are no part of a base', () => {
  const own = [
    'postgresql.conf',
    'pg_hba.conf',
    'postmaster.pid',
    'postmaster.opts',
    'standby.signal',
    'log/a.log',
    'core',
    'core.12',
    '.x',
  ];
  const data = [
    'PG_VERSION',
    'base/1/1259',
    'global/pg_control',
    'backup_label',
    'pg_logical',
    'base/1/pg_filenode.map',
  ];
  expect(own.filter((name) => !belongsToCompute(name))).toEqual([]);
  expect(data.filter(belongsToCompute)).toEqual([]);
});
