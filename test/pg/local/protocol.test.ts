import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { formatLsn } from '../../../src/core/lsn.ts';
import { isAlive, identify } from '../../../src/process/identity.ts';
import { writePidFile } from '../../../src/process/pid-file.ts';
import { listSegments, segmentName } from '../../../src/local/storage/segments.ts';
import { withPg } from '../../../src/pg/client.ts';
import { Secret } from '../../../src/core/secret.ts';
import { fetchArchive, localFixture, never, psqlBasebackup, withStorage } from './fixture.ts';

test('gzip and tar accept the archive, with and without compression, also when psql fetches it', async () => {
  await withStorage(async ({ local }) => {
    const packed = await fetchArchive(local, '--gzip', 'static');
    const plain = await fetchArchive(local, '', 'static');
    execFileSync('gzip', ['-t'], { input: packed });
    const names = execFileSync('tar', ['tzf', '-'], { input: packed, encoding: 'utf8' }).trim().split('\n');
    expect(execFileSync('tar', ['tf', '-'], { input: plain, encoding: 'utf8' }).trim().split('\n')).toEqual(
      names,
    );
    expect(gunzipSync(packed)).toHaveLength(plain.length);
    expect(names).toEqual(
      expect.arrayContaining([
        'PG_VERSION',
        'backup_label',
        'global/pg_control',
        'pg_dynshmem',
        'pg_hba.conf',
      ]),
    );
    expect(names.filter((name) => /postgresql\.conf|postmaster|standby|^\.|^\//.test(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => /^pg_wal\/[0-9A-F]{24}$/.test(name)).length).toBeGreaterThan(0);
  });
});

test.each([
  ['a wrong token', { token: 'wrong' }, 'JWT authentication error'],
  ['an unknown timeline', { timeline: '0'.repeat(32) }, 'not found'],
  ['a position before the base', { args: '0/1 --gzip' }, 'is older than the base backup'],
  ['an unknown flag', { args: '--zstd' }, 'invalid parameter for basebackup command: --zstd'],
] as const)('%s is refused in words', async (_what, asked, message) => {
  await withStorage(async ({ local }) => {
    const { args, token, timeline } = { args: '--gzip', token: undefined, timeline: undefined, ...asked };
    const { code, err, out } = await psqlBasebackup(local.state, args, 'primary', token, timeline);
    expect(err).toContain(message);
    expect([code, out.length]).not.toEqual([0, 1]);
  });
});

test('TIMELINE_STATUS tells the end of the WAL, and no row for a timeline that is not here', async () => {
  await withStorage(async ({ local, storage }) => {
    const { state } = local;
    const ask = (timelineId: string): Promise<unknown[]> => {
      const options = `-c timeline_id=${timelineId} tenant_id=${state.tenantId}`;
      const target = {
        host: '127.0.0.1',
        port: state.ports.safekeeper,
        user: 'no_user',
        password: new Secret(state.storageToken),
        database: 'x',
        options,
      };
      return withPg(
        target,
        { applicationName: 'test', connectMs: 5000, signal: never },
        async (pg) => (await pg.query('TIMELINE_STATUS')).rows,
      );
    };
    const end = formatLsn(storage.timeline.end());
    expect(await ask(state.timelineId)).toEqual([{ flush_lsn: end, commit_lsn: end }]);
    expect(await ask('0'.repeat(32))).toEqual([]);
  });
});

test('the control plane hands out the spec for its token only', async () => {
  await withStorage(async ({ local }) => {
    const { state } = local;
    const ask = async (path: string, token: string): Promise<[number, unknown]> => {
      const response = await fetch(`http://127.0.0.1:${state.ports.controlPlane}${path}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      return [response.status, await response.json()];
    };
    const path = `/compute/api/v2/computes/${state.computeId}/spec`;
    expect(await ask(path, state.controlPlaneToken)).toEqual([
      200,
      expect.objectContaining({ status: 'attached' }),
    ]);
    expect(await ask(path, 'wrong')).toEqual([401, expect.anything()]);
    expect(await ask('/compute/api/v2/computes/other/spec', state.controlPlaneToken)).toEqual([
      404,
      expect.anything(),
    ]);
    expect(await ask('/status', state.controlPlaneToken)).toEqual([
      200,
      expect.objectContaining({ attached: false }),
    ]);
  });
});

test('a pg_receivewal that outlived its storage is ended before another one writes', async () => {
  const local = await localFixture();
  const first = await local.serve();
  const compute = await local.startCompute();
  await first.close();
  const { dir } = first.timeline;
  const args = [
    '-D',
    dir.wal,
    '-d',
    `host=${local.dir.run} port=${local.state.ports.postgres} user=cloud_admin`,
    '--no-loop',
  ];
  const orphan = spawn(local.tools.postgres.sibling('pg_receivewal'), args, {
    stdio: 'ignore',
    cwd: '/',
  });
  const ended = once(orphan, 'exit');
  await once(orphan, 'spawn');
  const identity = identify(orphan.pid!);
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  writePidFile(dir.receiverPid, other.pid!);
  const second = await local.serve();
  try {
    await ended;
    expect(identity !== null && isAlive(identity)).toBe(false);
    await compute.query('create table t (n int)');
    expect(existsSync(join(dir.wal, 'archive_status'))).toBe(false);
  } finally {
    other.kill('SIGKILL');
    await second.close();
    local.remove();
  }
});

test('a segment that a crash left half filled with zeros does not stop the receiver for ever', async () => {
  const local = await localFixture();
  let storage = await local.serve();
  try {
    const compute = await local.startCompute();
    await compute.query('create table t (n int)');
    const { dir, base } = storage.timeline;
    const megabyte = base.walSegmentBytes;
    // Until the receiver has finished a segment and begun no other.
    await expect
      .poll(async () => {
        await compute.query('select pg_switch_wal()');
        const whole = listSegments(dir.wal, megabyte).at(-1)?.partial === false;
        return whole && Number(storage.timeline.end()) % megabyte === 0;
      })
      .toBe(true);
    const next = Number(storage.timeline.end()) / megabyte;
    await storage.close();
    const short = join(dir.wal, `${segmentName(next, megabyte)}.partial`);
    writeFileSync(short, Buffer.alloc(4096));
    storage = await local.serve();
    await compute.query('insert into t values (1)');
    await compute.kill('SIGKILL');
    const again = await local.startCompute();
    expect(await again.query('select n from t')).toEqual([{ n: 1 }]);
  } finally {
    await storage.close();
    local.remove();
  }
});
