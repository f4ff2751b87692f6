import { afterAll, describe, expect, test } from 'vitest';
import { complianceLines } from '../../../src/postgres/conf-audit.ts';
import { logsExport } from '../../../src/services/logs-export.ts';
import { startCluster } from '../../support/cluster.ts';
import { auditable, withPgaudit } from '../../support/pgaudit.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { inputFor, query, value } from '../catalog/support.ts';

const exportLines = logsExport.conf!({ given: 'x:1', collector: { host: 'x', port: 1 } });

test.each(installedPostgres())('PostgreSQL $major starts with the lines of logs-export', async (postgres) => {
  const cluster = await startCluster({ postgres, conf: exportLines.join('\n') });
  try {
    expect(await value(cluster.target, 'show log_destination')).toBe('stderr,syslog');
  } finally {
    await cluster.stop();
  }
});

describe.each(auditable())('PostgreSQL $major with pgaudit', (plain) => {
  const own = withPgaudit(plain);
  afterAll(() => own?.remove());

  test.skipIf(own === null).each(['Extended', 'Full'])('starts with the lines of level %s', async (level) => {
    const preload = [{ name: 'shared_preload_libraries', value: 'pg_stat_statements', vartype: 'string' }];
    const target = { host: '', port: 1, user: 'u', password: null, database: 'd', options: '' };
    const { spec } = inputFor(target, { audit_log_level: level, settings: preload });
    const conf = complianceLines(spec).join('\n');
    const cluster = await startCluster({ postgres: own!.postgres, conf });
    try {
      const logged = level === 'Full' ? 'all' : 'all, -misc';
      expect(await value(cluster.target, 'show pgaudit.log')).toBe(logged);
      await query(cluster.target, 'create extension pgaudit; create table audited (a int)');
      expect(cluster.log()).toMatch(/AUDIT: SESSION,\d+,\d+,DDL,CREATE TABLE/);
      await query(cluster.target, 'select pg_reload_conf()');
      await expect.poll(() => cluster.log()).toContain('received SIGHUP');
      expect(
        await value(cluster.target, 'select count(*)::int from pg_file_settings where error is not null'),
      ).toBe(0);
    } finally {
      await cluster.stop();
    }
  });
});
