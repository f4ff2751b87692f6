import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLog } from '../../../src/core/log.ts';
import { LogFiles, type LogFilesOptions } from '../../../src/process/log-files.ts';

let home: string;
let directory: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'log-files-'));
  directory = join(home, 'some/logs');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 10 });
const ids = { pg_instance_id: 'instance-7', pg_compute_id: 'ep/7' };
let day = '2026-01-05';
const now = (): Date => new Date(`${day}T12:00:00.123Z`);
const fileOf = (name = day): string => join(directory, `pgcctl.${name}`);
const messages = (name = day): string[] =>
  readFileSync(fileOf(name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { message: string }).message);

/** A log with copies, and what it says on stderr. */
function begun(options: Partial<LogFilesOptions> = {}) {
  day = '2026-01-05';
  const files = new LogFiles({ directory, ids, now, retryMs: 20, ...options });
  const stderr: string[] = [];
  const log = createLog({ format: 'text', level: 'info' }, (line) => stderr.push(line), files.add);
  const warnings = (): string[] => stderr.filter((line) => line.includes('log files in'));
  return { files, log, stderr, warnings };
}

test('each line is an object in the form of the original, from the first one on, in both formats of the log', async () => {
  for (const format of ['text', 'json'] as const) {
    const files = new LogFiles({ directory, ids, now });
    const log = createLog({ format, level: 'info' }, () => {}, files.add);
    log.warn({ step: 'x' }, 'before the user is known:\n"quoted"');
    log.debug('not at this level');
    files.begin(log);
    log.info('later');
    await files.end();
    const [first, second] = readFileSync(fileOf(), 'utf8').trimEnd().split('\n');
    expect(first).toMatch(
      /^\{"timestamp":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} GMT","error_severity":"WARN","file_name":"compute_ctl","backend_type":"compute_ctl_self","pg_instance_id":"instance-7","pg_compute_id":"ep\/7","message":"before the user is known:\\n\\"quoted\\" step=x"\}$/,
    );
    expect(JSON.parse(second ?? '')).toMatchObject({ error_severity: 'INFO', message: 'later' });
    rmSync(directory, { recursive: true });
  }
});

test('a new day has a new file, and the newest two stay; what is not ours is left alone', async () => {
  mkdirSync(join(directory, 'pgcctl.2026-01-01'), { recursive: true });
  for (const name of ['pgcctl.2025-12-30', 'pgcctl.2026-01-04', 'pgcctl.old', 'other'])
    writeFileSync(join(directory, name), 'x\n');
  const { files, log } = begun();
  files.begin(log);
  log.info('monday');
  await soon(() => expect(messages()).toEqual(['monday']));
  day = '2026-01-06';
  log.info('tuesday');
  await soon(() => expect(messages()).toEqual(['tuesday']));
  await files.end();
  expect(readdirSync(directory).toSorted()).toEqual(
    ['other', 'pgcctl.2026-01-01', 'pgcctl.2026-01-05', 'pgcctl.2026-01-06', 'pgcctl.old'].toSorted(),
  );
});

test('a file of the same day is continued, and a line that a killed process left unfinished is ended', async () => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(fileOf('2026-01-05'), 'cut');
  const { files, log } = begun();
  files.begin(log);
  log.info('next');
  await files.end();
  expect(readFileSync(fileOf(), 'utf8')).toMatch(/^cut\n\{.*"next"\}\n$/);
});

const planted: [string, () => void, RegExp][] = [
  ['a link', () => symlinkSync(join(home, 'target'), fileOf('2026-01-05')), /symbolic link|ELOOP/],
  ['another name of a file', () => linkSync(join(home, 'target'), fileOf('2026-01-05')), /another name/],
  ['a fifo', () => void execFileSync('mkfifo', [fileOf('2026-01-05')]), /is not a file/],
  ['a directory', () => mkdirSync(fileOf('2026-01-05')), /directory|EISDIR/],
];

test.each(planted)(
  '%s in its place is a warning; once it is gone, no line is missing',
  async (_, plant, why) => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(home, 'target'), 'untouched');
    plant();
    const { files, log, stderr, warnings } = begun();
    files.begin(log);
    for (let n = 0; n < 50; n++) log.info(`line ${n}`);
    await soon(() => expect(warnings()).toHaveLength(1));
    expect(warnings()[0]).toMatch(why);
    expect(stderr.filter((line) => line.includes(' line '))).toHaveLength(50);
    expect(readFileSync(join(home, 'target'), 'utf8')).toBe('untouched');
    rmSync(fileOf(), { recursive: true });
    await soon(() => expect(messages().filter((text) => text.startsWith('line '))).toHaveLength(50));
    await soon(() => expect(warnings().at(-1)).toContain('are written again'));
    await files.end();
    expect(warnings()).toHaveLength(2);
  },
);

test('without the directory, and with a file in its place, stderr has everything, and the end does not wait', async () => {
  writeFileSync(join(home, 'some'), 'a file');
  const { files, log, stderr, warnings } = begun({ retryMs: 60_000 });
  files.begin(log);
  log.info('one');
  await soon(() => expect(warnings()).toHaveLength(1));
  const beganMs = performance.now();
  await files.end();
  expect(performance.now() - beganMs).toBeLessThan(2000);
  expect(stderr.some((line) => line.endsWith('one'))).toBe(true);
  expect(existsSync(directory)).toBe(false);
});

test('a place where no directory can be made is a warning, and not a thread that never ends', async () => {
  const { files, log, warnings } = begun({ directory: '/proc/none/logs', retryMs: 60_000 });
  files.begin(log);
  log.info('one');
  await soon(() => expect(warnings()).toEqual([expect.stringMatching(/\/proc\/none/)]));
  await files.end();
});

test('what does not fit into the memory meanwhile is counted in the file', async () => {
  mkdirSync(fileOf('2026-01-05'), { recursive: true });
  const { files, log, warnings } = begun();
  files.begin(log);
  log.info('first');
  await soon(() => expect(warnings()).toHaveLength(1));
  const long = 'x'.repeat(1000);
  for (let n = 0; n < 3000; n++) log.info(`${n} ${long}`);
  rmSync(fileOf(), { recursive: true });
  await soon(() => expect(messages().some((text) => text.startsWith('2999 '))).toBe(true));
  await files.end();
  const missing = messages().flatMap((text) => /^(\d+) log lines are missing here/.exec(text)?.[1] ?? []);
  const numbered = messages().filter((text) => /^\d+ x/.test(text));
  // The warning about the directory is a line, too.
  const other = messages().length - missing.length - numbered.length;
  expect(missing).toHaveLength(1);
  expect(Number(missing[0]) + numbered.length + other).toBeGreaterThanOrEqual(3001);
});

test('a file has a limit, and the next day begins anew', async () => {
  const { files, log, warnings } = begun({ maxBytes: 2000 });
  files.begin(log);
  while (warnings().length === 0) {
    log.info('line');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (let n = 0; n < 30; n++) log.info('line');
  expect(warnings()).toEqual([expect.stringMatching(/is full \(\d{4} bytes\)/)]);
  day = '2026-01-06';
  // One that comes while the last of monday is dropped goes with it.
  await soon(() => {
    log.info('tuesday');
    expect(messages()).toContain('tuesday');
  });
  expect(messages()[0]).toMatch(/^\d+ log lines are missing here/);
  await files.end();
});

test.skipIf(process.getuid?.() !== 0)(
  'a full disk loses no line but those that do not fit into memory',
  async () => {
    mkdirSync(directory, { recursive: true });
    const script = `
    mount -t tmpfs -o size=64k none ${directory} && head -c 60000 /dev/zero > ${directory}/ballast
    exec "$@"`;
    const inside = `
    import { rmSync, readFileSync } from 'node:fs';
    import { LogFiles } from ${JSON.stringify(join(import.meta.dirname, '../../../src/process/log-files.ts'))};
    import { createLog } from ${JSON.stringify(join(import.meta.dirname, '../../../src/core/log.ts'))};
    const files = new LogFiles({ directory: ${JSON.stringify(directory)}, ids: {}, retryMs: 20, now: () => new Date('2026-01-05T00:00:00Z') });
    const said = [];
    const log = createLog({ format: 'text', level: 'info' }, (line) => said.push(line), files.add);
    files.begin(log);
    for (let n = 0; n < 200; n++) log.info('line ' + n);
    while (!said.some((line) => line.includes('ENOSPC') || line.includes('no space'))) await new Promise((r) => setTimeout(r, 5));
    rmSync(${JSON.stringify(join(directory, 'ballast'))});
    while (!said.some((line) => line.includes('written again'))) await new Promise((r) => setTimeout(r, 5));
    await files.end();
    const text = readFileSync(${JSON.stringify(join(directory, 'pgcctl.2026-01-05'))}, 'utf8');
    const lines = text.trimEnd().split('\\n').map((line) => JSON.parse(line).message).filter((m) => m.startsWith('line '));
    console.log(lines.length, new Set(lines).size);`;
    const out = execFileSync(
      'unshare',
      ['-m', 'sh', '-c', script, '-', process.execPath, '--input-type=module', '-e', inside],
      { encoding: 'utf8', timeout: 30_000 },
    );
    expect(out.trim()).toBe('200 200');
  },
);
