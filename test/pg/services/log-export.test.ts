import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { createLog } from '../../../src/core/log.ts';
import { Rsyslog } from '../../../src/services/rsyslog/rsyslog.ts';
import { exportText } from '../../../src/services/rsyslog/text.ts';
import { eventually } from '../../support/program.ts';
import {
  type Collector,
  type SupervisedRsyslog,
  realRsyslogd,
  startCollector,
  startRsyslog,
} from '../../support/rsyslog.ts';
import { scratchDir } from '../../support/scratch.ts';

const program = realRsyslogd();
const run = promisify(execFile);

describe.skipIf(program === null)('the log of Postgres, sent by a real rsyslogd', () => {
  let daemon: SupervisedRsyslog;
  let collector: Collector;
  let home: string;
  beforeEach(async () => {
    home = scratchDir('export');
    daemon = startRsyslog(program!, 'main_queue(queue.size="3000")');
    await eventually('rsyslogd', async () => daemon.pid() ?? undefined);
    collector = await startCollector('127.0.0.1');
    const rsyslog = new Rsyslog({
      settings: daemon.settings,
      env: {},
      log: createLog({ format: 'text', level: 'silent' }),
    });
    await rsyslog.apply('postgres_logs.conf', exportText({ host: '127.0.0.1', port: collector.port }), never);
  });
  afterEach(async () => {
    await collector.leave().catch(() => {});
    await daemon.stop();
    rmSync(home, { recursive: true, force: true });
  });

  let sent = 0;
  beforeEach(() => (sent = 0));
  /** As syslog(3) of Postgres does: each line waits until rsyslogd has room for it. */
  async function log(count: number): Promise<void> {
    const lines = Array.from({ length: count }, () => `line ${sent++} of the log`);
    writeFileSync(join(home, 'lines'), lines.join('\n'));
    await run('logger', ['--socket', daemon.socket, '--tag', 'postgres', '--file', join(home, 'lines')]);
  }
  const received = (): number =>
    new Set(collector.messages().flatMap((line) => /line (\d+) of/.exec(line)?.[1] ?? [])).size;

  test('a collector that is away does not hold up Postgres, and what is lost is counted by rsyslogd', async () => {
    await log(1000);
    await expect.poll(received).toBe(1000);
    await collector.leave();
    // Far more than rsyslogd keeps anywhere: with a queue that waits for room, syslog(3) would wait, too, and Postgres with it.
    await log(30_000);
    const lost = (): number =>
      Number(/ discarded\.full=(\d+) /.exec(daemon.statistics('compute_logs_export queue'))?.[1] ?? 0);
    await expect.poll(lost).toBeGreaterThan(1000);
    await collector.comeBack();
    // One message may have been on its way when the connection was cut.
    await expect.poll(() => sent - received() - lost()).toBeLessThanOrEqual(1);
    await log(10);
    await expect.poll(() => sent - received() - lost()).toBeLessThanOrEqual(1);
    expect(received()).toBeGreaterThan(10_000);
  });
});
