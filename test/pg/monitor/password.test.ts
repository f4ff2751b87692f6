import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { startCluster } from '../../support/cluster.ts';
import { run, seen, watched } from './support.ts';

test('a server that wants a password is watched all the same', async () => {
  const cluster = await startCluster();
  try {
    await run(cluster.target, "create role asker login superuser password 'open sesame'");
    const hba = join(cluster.dataDir, 'pg_hba.conf');
    writeFileSync(hba, `host all asker all scram-sha-256\n${readFileSync(hba, 'utf8')}`);
    await run(cluster.target, 'select pg_reload_conf()');
    const target = { ...cluster.target, user: 'asker', password: new Secret('open sesame') };
    await watched(target, {}, async ({ monitor, metrics, lines }) => {
      await seen('checks', async () => /count\{check="connect"\} [3-9]/.test(await metrics.render()));
      expect([monitor.up, monitor.downtimeReport().incidents]).toEqual([true, []]);
      expect(lines.join('')).not.toContain('open sesame');
    });
    const wrong = { ...target, password: new Secret('close sesame') };
    await watched(wrong, {}, async ({ monitor, lines }) => {
      await seen('refusal', () => monitor.postgresReport().sqlstate === '28P01');
      expect(lines.join('')).not.toContain('close sesame');
    });
  } finally {
    await cluster.stop();
  }
});
