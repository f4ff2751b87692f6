import { parse } from 'valibot';
import { describe, expect, test } from 'vitest';
import { auditLog, withReadableAudit, wrongAddresses } from '../../../src/services/audit-log.ts';
import { confLines } from '../../../src/services/index.ts';
import { auditSettings } from '../../../src/services/rsyslog/settings.ts';
import { auditText, exportText } from '../../../src/services/rsyslog/text.ts';
import type { Settings } from '../../../src/services/settings.ts';
import { type ResolvedSpec, resolveSpec } from '../../../src/spec/resolve.ts';
import { computeSpecSchema } from '../../../src/spec/schema.ts';

const spec = (changes: object): ResolvedSpec =>
  resolveSpec(
    parse(computeSpecSchema, {
      format_version: 1,
      suspend_timeout_seconds: 0,
      tenant_id: '3aa8fcc61f6d357410b7de754b1d9001',
      timeline_id: '641e5342083b2235ee3deb8066819683',
      pageserver_connstring: 'postgresql://no_user@127.0.0.1:1',
      safekeeper_connstrings: ['127.0.0.1:2'],
      cluster: { roles: [], databases: [], settings: [] },
      ...changes,
    }),
  );

const withEndpoint = (endpoint: string | null): Settings =>
  ({
    vm: { scaling: null, resizeSwap: false, quotaMountpoint: null, informant: null },
    storageStatus: null,
    pgdata: '/data/pg',
    rsyslog: { workDir: '/var/log/rsyslog', caFile: '/ca.crt' },
    audit: { endpoint, from: 'AUDIT_LOGGING_ENDPOINT', tls: false, limitBytes: 1 },
  }) as unknown as Settings;

const levels = ['Hipaa', 'Extended', 'Full'];

describe('the lines of postgresql.conf', () => {
  test.each(levels)('%s is audited when its files have a reader', (audit_log_level) => {
    const lines = confLines(spec({ audit_log_level }), withEndpoint('collector:514'));
    expect(lines).toContain("shared_preload_libraries='neon,pgaudit,pgauditlogtofile'");
    expect(lines).toContain(`pgaudit.log_parameter=${audit_log_level === 'Full' ? 'on' : 'off'}`);
  });

  test.each(levels.flatMap((level) => [null, 'collector', 'a"b:1', 'x:0'].map((at) => [level, at] as const)))(
    '%s writes none, and creates no extension, when the collector is %j',
    (audit_log_level, endpoint) => {
      const [asked, settings] = [spec({ audit_log_level }), withEndpoint(endpoint)];
      expect(confLines(asked, settings)).toEqual([]);
      expect(withReadableAudit(asked, settings).spec.audit_log_level).toBe('Disabled');
      expect(auditLog.wants(asked, settings)).not.toBeNull();
      expect(wrongAddresses(asked, settings)).toHaveLength(1);
    },
  );

  test.each(['Disabled', 'Log', 'Base'])('%s needs no reader', (audit_log_level) => {
    const asked = spec({ audit_log_level });
    expect(auditLog.wants(asked, withEndpoint(null))).toBeNull();
    expect(withReadableAudit(asked, withEndpoint(null))).toBe(asked);
    expect(wrongAddresses(asked, withEndpoint(null))).toEqual([]);
  });

  test('a data directory that rsyslog takes for a pattern is not audited', () => {
    const settings = { ...withEndpoint('collector:514'), pgdata: '/data/*' };
    expect(confLines(spec({ audit_log_level: 'Full' }), settings)).toEqual([]);
  });

  test('Postgres logs to syslog while its log is sent on', () => {
    const lines = (logs_export_host: string): string[] =>
      confLines(spec({ logs_export_host }), withEndpoint(null));
    expect(lines('collector:514')).toEqual(["log_destination='stderr,syslog'"]);
    expect(lines('[::1]:80')).toEqual(["log_destination='stderr,syslog'"]);
    expect(lines('collector')).toEqual([]);
  });
});

const options = { auditLogLimitBytes: 7 } as Parameters<typeof auditSettings>[0];

test.each([
  [{}, { endpoint: null, from: 'AUDIT_LOGGING_ENDPOINT', tls: false }],
  [{ AUDIT_LOGGING_ENDPOINT: 'a:1' }, { endpoint: 'a:1', from: 'AUDIT_LOGGING_ENDPOINT', tls: false }],
  [
    { AUDIT_LOGGING_ENDPOINT: 'a:1', AUDIT_LOGGING_TLS_ENDPOINT: '' },
    { endpoint: 'a:1', from: 'AUDIT_LOGGING_ENDPOINT', tls: false },
  ],
  [
    { AUDIT_LOGGING_ENDPOINT: 'a:1', AUDIT_LOGGING_TLS_ENDPOINT: 'b:2' },
    { endpoint: 'b:2', from: 'AUDIT_LOGGING_TLS_ENDPOINT', tls: true },
  ],
])('the collector of %j', (env, wanted) => {
  expect(auditSettings(options, env)).toEqual({ ...wanted, limitBytes: 7 });
});

const audit = {
  directory: '/data/pg/log',
  collector: { host: '2001:db8::7', port: 6514 },
  tls: true,
  endpointId: 'ep-1',
  projectId: '',
  workDir: '/var/log/rsyslog',
  caFile: '/etc/ssl/certs/ca-certificates.crt',
};

describe('what rsyslog is told', () => {
  test('the audit log goes to the collector over TLS, whose name is checked', () => {
    const text = auditText(audit);
    for (const part of [
      'target="2001:db8::7" port="6514" protocol="tcp"',
      'StreamDriverPermittedPeers="2001:db8::7"',
      'set $.remote_syslog_tls = "true";',
      'file="/data/pg/log/*.log"',
      'tag="pgaudit_log" severity="info" facility="local5"',
    ])
      expect(text).toContain(part);
    expect(auditText({ ...audit, tls: false })).not.toContain('StreamDriverMode');
  });

  test('an id cannot end its string', () => {
    const text = auditText({ ...audit, endpointId: 'a"; stop #\\$x' });
    expect(text).toContain('set $.json_log!endpoint_id = "a\\"; stop #\\\\\\$x";');
  });

  test.each([
    ['endpointId', 'a\nb'],
    ['projectId', 'a\0b'],
    ['directory', '/data/a\nb'],
    ['directory', '/data/[a]'],
    ['directory', '/data/a?'],
  ])('%s %j is refused', (field, value) => {
    expect(() => auditText({ ...audit, [field]: value })).toThrow('cannot be written for rsyslog');
  });

  test("Postgres's log goes on as it is", () => {
    expect(exportText({ host: 'collector', port: 80 })).toContain(
      'target="collector" port="80" protocol="tcp"\n    template="RSYSLOG_SyslogProtocol23Format"',
    );
  });
});
