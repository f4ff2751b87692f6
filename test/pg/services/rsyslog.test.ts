import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { createLog } from '../../../src/core/log.ts';
import { readPositions } from '../../../src/services/rsyslog/positions.ts';
import { Rsyslog } from '../../../src/services/rsyslog/rsyslog.ts';
import type { AuditText } from '../../../src/services/rsyslog/text.ts';
import { auditText, exportText } from '../../../src/services/rsyslog/text.ts';
import {
  type Collector,
  type SupervisedRsyslog,
  realRsyslogd,
  startCollector,
  startRsyslog,
} from '../../support/rsyslog.ts';
import { eventually } from '../../support/program.ts';
import { scratchDir } from '../../support/scratch.ts';
import { makeCertificate } from '../../support/tls.ts';

const program = realRsyslogd();
const log = createLog({ format: 'text', level: 'silent' });
const auditFile = 'compute_audit_rsyslog.conf';

describe.skipIf(program === null)('a real rsyslogd', () => {
  let daemon: SupervisedRsyslog;
  let collector: Collector;
  let rsyslog: Rsyslog;
  let home: string;

  beforeEach(async () => {
    home = scratchDir('logs');
    mkdirSync(join(home, 'log'));
    daemon = startRsyslog(program!);
    rsyslog = new Rsyslog({ settings: daemon.settings, env: {}, log });
    await eventually('rsyslogd', async () => daemon.pid() ?? undefined);
  });
  afterEach(async () => {
    await collector?.leave().catch(() => {});
    await daemon.stop();
    rmSync(home, { recursive: true, force: true });
  });

  const audit = (changes: Partial<AuditText> = {}): string =>
    auditText({
      directory: join(home, 'log'),
      collector: { host: '127.0.0.1', port: collector.port },
      tls: false,
      endpointId: 'ep-1',
      projectId: 'prj-1',
      workDir: daemon.settings.workDir,
      caFile: daemon.settings.caFile,
      ...changes,
    });

  let written = 0;
  beforeEach(() => (written = 0));
  /** As pgauditlogtofile does. */
  function write(count: number, name = 'audit-20261128_0300.log'): void {
    const lines = Array.from(
      { length: count },
      () => `2026-11-28 03:00:00.123 GMT,"u","db",7,"AUDIT: SESSION,${written++},1,READ,SELECT,,,select 1"\n`,
    );
    appendFileSync(join(home, 'log', name), lines.join(''));
  }
  const received = (): Set<string> =>
    new Set(collector.messages().flatMap((line) => /SESSION,(\d+),/.exec(line)?.[1] ?? []));
  const json = (line: string): unknown => JSON.parse(line.slice(line.indexOf('{')));

  test('a message of any length arrives as JSON, and one that is cut says so', async () => {
    collector = await startCollector('127.0.0.1');
    await rsyslog.apply(auditFile, audit(), never);
    const begin = '2026-11-28 03:00:00.123 GMT,"u","db",7,"AUDIT: SESSION,1,1,READ,SELECT,,,';
    const bodies = [
      'x'.repeat(30_000),
      'x'.repeat(600_000),
      '\u0001'.repeat(30_000),
      '"\u00e4\\'.repeat(20_000),
      '',
    ];
    const lines = bodies.map((body) => `${begin}${body} END"\n`).join('');
    appendFileSync(join(home, 'log', 'audit-20261128_0300.log'), lines);
    await expect.poll(() => collector.messages().length, { timeout: 20_000 }).toBe(bodies.length);
    const got = collector.messages().map((line) => json(line) as { msg: string; cut?: string });
    expect(got.map(({ cut }) => cut)).toEqual([undefined, 'true', 'true', 'true', undefined]);
    expect(got.every(({ msg }) => msg.startsWith(begin))).toBe(true);
    expect(got[0]!.msg).toContain(' END');
  });

  test('takes a file, does nothing for the same again, and forgets one that is removed', async () => {
    collector = await startCollector('127.0.0.1');
    const first = daemon.pid();
    await rsyslog.apply(auditFile, audit(), never);
    const second = daemon.pid();
    expect(second).not.toBe(first);
    write(2); // a message is complete when the next one begins
    await expect.poll(() => collector.messages()).not.toHaveLength(0);
    expect(collector.messages()[0]).toMatch(/^<174>1 \d{4}-\d\d-\d\dT\S+ \S+ - - - - \{/);
    expect(json(collector.messages()[0]!)).toEqual({
      endpoint_id: 'ep-1',
      project_id: 'prj-1',
      msg: expect.stringContaining('AUDIT: SESSION,0,1') as string,
    });
    await rsyslog.apply(auditFile, audit(), never);
    expect(daemon.pid()).toBe(second);
    await rsyslog.remove(auditFile);
    await expect.poll(() => daemon.pid()).not.toBe(second);
    expect(readdirSync(daemon.settings.confDir)).toEqual([]);
  });

  test('is restarted once for both files', async () => {
    collector = await startCollector('127.0.0.1');
    const say = vi.fn();
    const both = new Rsyslog({
      settings: daemon.settings,
      env: {},
      log: { ...log, info: say } as typeof log,
    });
    const at = { host: '127.0.0.1', port: collector.port };
    await Promise.all([
      both.apply(auditFile, audit(), never),
      both.apply('postgres_logs.conf', exportText(at), never),
    ]);
    expect(say.mock.calls.flat().filter((line) => line === 'rsyslogd was restarted')).toHaveLength(1);
    await expect.poll(() => existsSync(daemon.socket)).toBe(true);
    const sent = `import syslog, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(${JSON.stringify(daemon.socket)})
s.send(b"<134>Nov 28 03:00:00 postgres[7]: [1-1] LOG:  from the server"); s.send(b"<134>Nov 28 03:00:00 other[7]: not this")`;
    execFileSync('python3', ['-c', sent]);
    write(2);
    const which = (part: string) => collector.messages().filter((line) => line.includes(part));
    await expect.poll(() => which('SESSION,0,')).toHaveLength(1);
    await expect.poll(() => which('from the server')).toEqual([expect.stringMatching(/ postgres 7 - - /)]);
    expect(which('not this')).toEqual([]);
  });

  test.each([
    ['a"; stop } #', "x' $y \\ %z ü"],
    ['$!all', '`id`'],
  ])('ids %j and %j arrive as they are', async (endpointId, projectId) => {
    collector = await startCollector('127.0.0.1');
    await rsyslog.apply(auditFile, audit({ endpointId, projectId }), never);
    write(2);
    await expect.poll(() => collector.messages()).not.toHaveLength(0);
    expect(json(collector.messages()[0]!)).toMatchObject({ endpoint_id: endpointId, project_id: projectId });
  });

  test('a message of several lines is one, and the last one does not wait for the next', async () => {
    collector = await startCollector('127.0.0.1');
    await rsyslog.apply(auditFile, audit(), never);
    appendFileSync(join(home, 'log/audit-1.log'), '2026-11-28 03:00:00.123 GMT,"select\n1,\n2"\n');
    await expect.poll(() => collector.messages()).toHaveLength(1);
    const { msg } = json(collector.messages()[0]!) as { msg: string };
    expect(msg.replaceAll('\\n', '\n')).toBe('2026-11-28 03:00:00.123 GMT,"select\n1,\n2"');
  });

  test('sends to IPv6', async () => {
    collector = await startCollector('::1');
    await rsyslog.apply(auditFile, audit({ collector: { host: '::1', port: collector.port } }), never);
    write(3);
    await expect.poll(() => received().size).toBeGreaterThan(1);
  });

  test('sends over TLS only to a collector with the right name', async () => {
    const certificate = makeCertificate(home, 'localhost');
    copyFileSync(certificate.certFile, daemon.settings.caFile);
    collector = await startCollector('127.0.0.1', certificate);
    const to = { port: collector.port, host: '127.0.0.1' };
    await rsyslog.apply(auditFile, audit({ tls: true, collector: to }), never);
    write(2);
    await expect.poll(() => daemon.output()).toMatch(/not permitted|peer name/);
    expect(collector.messages()).toEqual([]);
    await rsyslog.apply(auditFile, audit({ tls: true, collector: { ...to, host: 'localhost' } }), never);
    write(2);
    await expect.poll(() => received()).toContain('2');
  });

  test('a collector that is away, slow and back again loses nothing, and what waits is seen', async () => {
    collector = await startCollector('127.0.0.1');
    await rsyslog.apply(auditFile, audit(), never);
    collector.pause(); // slow: takes nothing, the connection stays
    write(10_000);
    await expect
      .poll(() => daemon.statistics('compute_audit', 'core.queue'))
      .toMatch(/ enqueued=[4-9]\d{3} /);
    collector.resume();
    await expect.poll(() => received().size).toBe(10_000);
    await collector.leave();
    write(20_000);
    // The queue is full: the rest stays in the file.
    await expect.poll(() => daemon.statistics('compute_audit', 'core.queue')).toMatch(/ size=4[89]\d\d /);
    const [read] = [...(readPositions(daemon.settings)?.values() ?? [])].toSorted((a, b) => b - a);
    expect(read).toBeLessThan(readFileSync(join(home, 'log/audit-20261128_0300.log')).length);
    await collector.comeBack();
    await expect.poll(() => received().size, { timeout: 60_000 }).toBeGreaterThan(29_990);
    // What was on its way when the connection was cut is gone; everything else arrives.
    await expect.poll(() => daemon.statistics('compute_audit', 'core.queue')).toMatch(/ size=0 /);
    const lost = written - received().size;
    expect(lost).toBeLessThanOrEqual(1);
    expect(daemon.statistics('compute_audit', 'core.queue')).toContain('discarded.full=0 discarded.nf=0');
  });

  test('content that it refuses is taken back, and it is not restarted', async () => {
    collector = await startCollector('127.0.0.1');
    await rsyslog.apply(auditFile, audit(), never);
    const pid = daemon.pid();
    await expect(rsyslog.apply(auditFile, 'nonsense(\n', never)).rejects.toThrow(
      'rsyslogd refuses its configuration: ',
    );
    await expect(rsyslog.apply('postgres_logs.conf', 'nonsense(\n', never)).rejects.toThrow();
    expect(readdirSync(daemon.settings.confDir)).toEqual([auditFile]);
    expect(readFileSync(join(daemon.settings.confDir, auditFile), 'utf8')).toBe(audit());
    expect(daemon.pid()).toBe(pid);
  });
});

describe('a rsyslogd that does not run', () => {
  let home: string;
  beforeAll(() => (home = scratchDir('logs')));
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  const settings = () => ({
    program: '/bin/true',
    conf: '/dev/null',
    confDir: home,
    pidFile: join(home, 'pid'),
    workDir: home,
    caFile: home,
  });

  test.each(['', '0', '-1', '1\n2', 'x', String(2 ** 31), '99999999999'])(
    'the pid file %j names nobody',
    async (text) => {
      writeFileSync(join(home, 'pid'), text);
      const rsyslog = new Rsyslog({ settings: settings(), env: {}, log });
      await expect(rsyslog.apply(auditFile, `# ${text}`, never)).rejects.toThrow('rsyslogd does not run');
    },
  );

  test('another program that has got its number is left alone', async () => {
    writeFileSync(join(home, 'pid'), String(process.pid));
    const kill = vi.spyOn(process, 'kill');
    const rsyslog = new Rsyslog({ settings: settings(), env: {}, log });
    await expect(rsyslog.apply(auditFile, '# other', never)).rejects.toThrow('rsyslogd does not run');
    await rsyslog.remove(auditFile);
    expect(kill.mock.calls.filter(([, signal]) => signal === 'SIGTERM')).toEqual([]);
    kill.mockRestore();
  });

  test('a missing program is named', async () => {
    const rsyslog = new Rsyslog({ settings: { ...settings(), program: '/no/rsyslogd' }, env: {}, log });
    await expect(rsyslog.apply('postgres_logs.conf', '# new', never)).rejects.toThrow('/no/rsyslogd');
    expect(existsSync(join(home, 'postgres_logs.conf'))).toBe(false);
  });
});
