import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readStat } from '../../../src/process/proc.ts';
import { superviseInformant } from '../../../src/services/vm-informant.ts';
import { type VmOptions, vmSettings } from '../../../src/services/vm-settings.ts';
import { resizeSwap, setDiskQuota } from '../../../src/services/vm-programs.ts';
import { eventually } from '../../support/program.ts';

const never = new AbortController().signal;
let dir: string;
let lines: string[];
const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });
const env = { PATH: process.env['PATH'] };

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vm-'));
  lines = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function script(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const given = (more: Partial<VmOptions> = {}): VmOptions => ({
  cgroup: 'group',
  cgroupRoot: '/root',
  vmMonitorAddr: '0.0.0.0:1',
  filecacheConnstr: 'host=h',
  resizeSwapOnBind: true,
  setDiskQuotaForFs: '/data',
  vmToolsDir: dir,
  sudo: join(dir, 'sudo'),
  vmInformant: join(dir, 'informant'),
  ...more,
});
const context = () => ({ vm: vmSettings(given(), {}), env, log });
const calls = (): string => readFileSync(join(dir, 'calls'), 'utf8');

test('a machine is scaled when AUTOSCALING is there, even empty', () => {
  expect(vmSettings(given(), {}).scaling).toBeNull();
  expect(vmSettings(given(), { AUTOSCALING: '' }).scaling).toMatchObject({
    cgroup: { root: '/root', name: 'group' },
  });
});

describe('swap and disk quota', () => {
  beforeEach(() => script('sudo', `echo "$@" >> ${dir}/calls; exec "$@"`));

  test('the swap is resized once, by sudo', async () => {
    const program = script('resize-swap', 'rm "$0"');
    await resizeSwap(context(), 1_073_741_824, never);
    expect(calls()).toBe(`${program} --once 1073741824\n`);
  });

  test('a failure to resize the swap is an error while the program is there, and none once it is gone', async () => {
    script('resize-swap', 'echo no space >&2; exit 4');
    await expect(resizeSwap(context(), 5, never)).rejects.toMatchObject({
      code: 'vm',
      cause: { message: expect.stringContaining('exited with code 4: no space') as string },
    });
    rmSync(join(dir, 'resize-swap'));
    await resizeSwap(context(), 5, never);
    expect(lines.at(-1)).toContain('does not exist');
  });

  test('the disk quota is given in KiB, rounded down; 0 is not a limit', async () => {
    const program = script('set-disk-quota', 'true');
    await setDiskQuota(context(), 10_239, '/data', never);
    await setDiskQuota(context(), 0, '/data', never);
    expect(calls()).toBe(`${program} 9 /data\n${program} 0 /data\n`);
  });

  test('a failure to set the quota is an error, also when the program is not there', async () => {
    await expect(setDiskQuota(context(), 1024, '/data', never)).rejects.toThrow(
      'could not set the disk quota of /data to 1 KiB',
    );
  });
});

describe('the vm-informant', () => {
  const run = (path: string, signal: AbortSignal, starts: number[] = [], troubles: string[] = []) => {
    const told = { onStart: () => starts.push(1), onTrouble: (why: string) => troubles.push(why) };
    return superviseInformant({ path, env, log, ...told }, signal, 20);
  };

  test('is started again whenever it ends, its output is logged, and it is stopped at the end', async () => {
    const path = script(
      'informant',
      `echo said; echo loud >&2; n=$(cat ${dir}/n 2>/dev/null || echo 0); echo $((n+1)) > ${dir}/n
       case $n in 0) exit 0;; 1) exit 3;; 2) kill -9 $$;; *) echo $$ > ${dir}/pid; exec sleep 600;; esac`,
    );
    const stop = new AbortController();
    const starts: number[] = [];
    const troubles: string[] = [];
    const running = run(path, stop.signal, starts, troubles);
    await eventually('the fourth start', () => existsSync(join(dir, 'pid')) || undefined);
    const pid = Number(
      await eventually('its pid', () => readFileSync(join(dir, 'pid'), 'utf8') || undefined),
    );
    stop.abort();
    await running;
    expect(readStat(pid)).toBeNull();
    expect(starts).toHaveLength(4);
    expect(troubles).toEqual(
      ['code 0', 'code 3', 'signal SIGKILL'].map((how) => `it exited with ${how}, and is started again`),
    );
    const text = lines.join('');
    for (const part of ['informant: said', 'informant: loud', 'with code 0', 'with code 3', 'signal SIGKILL'])
      expect(text).toContain(part);
  });

  test('that cannot be started is tried again', async () => {
    const path = join(dir, 'informant');
    writeFileSync(path, '');
    const stop = new AbortController();
    const running = run(path, stop.signal);
    await eventually('two tries', () => lines.length > 1 || undefined);
    stop.abort();
    await running;
    expect(lines[0]).toContain('EACCES');
  });
});
