import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { Rsyslog } from '../../../../src/services/rsyslog/rsyslog.ts';
import type { RsyslogSettings } from '../../../../src/services/rsyslog/settings.ts';

// Without the check, the test never ends: nothing else runs while a fifo is waited for.
test('a fifo in place of a file of ours is refused, and not waited for', async () => {
  const confDir = mkdtempSync(join(tmpdir(), 'rsyslog-'));
  onTestFinished(() => rmSync(confDir, { recursive: true }));
  execFileSync('mkfifo', [join(confDir, 'ours.conf')]);
  const settings = { confDir, program: '/bin/false', pidFile: '/nowhere' } as RsyslogSettings;
  const rsyslog = new Rsyslog({ settings, env: {}, log: pino({ level: 'silent' }) });
  await expect(rsyslog.apply('ours.conf', 'text', never)).rejects.toThrow('is not a file');
  await expect(rsyslog.remove('ours.conf')).rejects.toThrow('is not a file');
});
