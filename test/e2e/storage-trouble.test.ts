import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { freePort } from '../support/cluster.ts';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import { type Program, eventually } from '../support/program.ts';

// The storage has a file system of its own, of 120 MB, which only root can mount; these tests run compute-local as root would.

const MB = 1024 * 1024;
const isRoot = process.getuid?.() === 0;
/** Containers often may not mount. */
const mayMount = isRoot && spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

let rig: LocalRig;
let program: Program;
let to: PgTarget;
/** The rows whose commits returned. */
let committed = 0;

const mounted = (): string => join(rig.dir, 'storage');
const ballast = (name = 'ballast'): string => join(mounted(), name);
const free = (): number => {
  const { bavail, bsize } = statfsSync(mounted());
  return bavail * bsize;
};
/** Fills the storage's file system with a file, but for that many bytes. */
const fillUpTo = (leave: number): void => writeFileSync(ballast(), Buffer.alloc(free() - leave));

/** Events before this one belong to an earlier test. */
let mark = 0;
/** Not those that other tests begin with. */
let ports: string[] = [];
async function start(): Promise<void> {
  ({ program, to } = await rig.upAndReady(ports));
  mark = 0;
}

/** With patience: a commit may wait as long as a test lasts. */
const patient = {
  applicationName: 'test',
  connectMs: 10_000,
  queryMs: 170_000,
  signal: new AbortController().signal,
};
const insert = async (sql = ''): Promise<void> => {
  await withPg(to, patient, (pg) => pg.query(`${sql}insert into t values (${committed + 1})`));
  committed++;
};

interface Ready {
  readonly code: number;
  readonly reason?: string;
  readonly writes_stopped?: boolean;
}
async function readyz(): Promise<Ready> {
  const { externalHttp } = rig.state().ports;
  const response = await fetch(`http://127.0.0.1:${externalHttp}/readyz`);
  return { code: response.status, ...((await response.json()) as object) };
}
const becomes = (what: string, is: (ready: Ready) => boolean): Promise<Ready> =>
  eventually(what, async () => ((ready) => (is(ready) ? ready : undefined))(await readyz()), 60_000);

interface Event {
  readonly event: string;
  readonly part?: string;
  readonly kind?: string;
  readonly what?: string;
  readonly reason?: string;
  readonly act?: string;
}
const events = (): Event[] =>
  program
    .stdout()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event)
    .slice(mark);
const told = (event: string, part: string, kind?: string): Promise<Event> =>
  eventually(
    `${event} ${part} ${kind ?? ''}`,
    () => events().find((one) => one.event === event && one.part === part && (kind ?? one.kind) === one.kind),
    60_000,
  );

const status = async (): Promise<string> => (await rig.command('status')).stdout;
/** Several parts can be in trouble at once: where the folder cannot be read, `files` is, too. */
async function failuresOf(part: string): Promise<number> {
  const { storage } = JSON.parse((await rig.command('status', '--json')).stdout) as {
    storage: { troubles: { part: string; failures: number }[] };
  };
  return storage.troubles.find((trouble) => trouble.part === part)?.failures ?? 0;
}
const linesAbout = (pattern: RegExp): string[] =>
  readFileSync(join(rig.dir, 'log', 'storage.log'), 'utf8')
    .split('\n')
    .filter((line) => pattern.test(line));

/** Everything is killed, as when the machine fails, and starts again: every row is there whose commit returned. */
async function restartHard(): Promise<void> {
  for (const pid of [
    program.child.pid,
    rig.pidOf('compute_ctl'),
    rig.pidOf('postgres'),
    rig.pidOf('storage'),
  ])
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  await program.exited();
  await start();
  const rows = await queryLocal(to, 'select n from t order by n');
  expect(rows.map(({ n }) => n).filter((n) => (n as number) <= committed)).toHaveLength(committed);
  // A commit that did not return may be there, too.
  committed = rows.length === 0 ? 0 : (rows.at(-1)?.['n'] as number);
}

beforeAll(async () => {
  if (!mayMount) return;
  rig = localRig();
  ports = ['--port', String(await freePort()), '--http-port', String(await freePort())];
  await start();
  await queryLocal(to, 'create table t (n int primary key)');
  await rig.command('stop');
  await program.exited();
  const aside = `${mounted()}.aside`;
  execFileSync('sh', [
    '-c',
    `mv ${mounted()} ${aside} && mkdir ${mounted()} && mount -t tmpfs -o size=120m,mode=755 none ${mounted()} && cp -a ${aside}/. ${mounted()}/ && chown --reference=${aside} ${mounted()} && rm -r ${aside}`,
  ]);
  await start();
}, 120_000);

beforeEach(() => {
  if (!mayMount) return;
  mark = 0;
  mark = events().length;
});

afterAll(async () => {
  if (!mayMount) return;
  program.kill('SIGTERM');
  await program.exited();
  execFileSync('umount', [mounted()]);
  await rig.clean();
}, 120_000);

test.runIf(mayMount)(
  'a disk that fills up is a warning first, then stops writes in order, and allows them again by itself',
  async () => {
    await insert();
    fillUpTo(10 * MB);
    expect(await told('trouble', 'disk', 'disk_low')).toMatchObject({
      reason: expect.stringContaining('the limit is 12.0 MB') as string,
    });
    await insert();
    writeFileSync(ballast('more'), Buffer.alloc(7 * MB));
    const stopped = await told('trouble', 'disk', 'writes_stopped');
    expect(stopped.act).toContain('begin read write');
    await eventually(
      'writes are refused',
      () =>
        insert().then(
          () => undefined,
          () => true,
        ),
      60_000,
    );
    await expect(insert()).rejects.toThrow('read-only transaction');
    expect(await queryLocal(to, 'select count(*)::int as n from t')).toEqual([{ n: committed }]);
    // Room is kept for those who must write, to delete something.
    await insert('set transaction read write; ');
    expect(await becomes('writes stopped', (ready) => ready.writes_stopped === true)).toMatchObject({
      code: 200,
    });
    const shown = await status();
    expect(shown).toMatch(/^ +3\.\d MB of 120\.0 MB free/m);
    expect(shown).toContain('writes are stopped, because the disk of the storage is nearly full');
    expect(shown).toContain('What to do: Free space on this file system');
    rmSync(ballast('more'));
    rmSync(ballast());
    await told('trouble-over', 'disk');
    await eventually(
      'writes are allowed',
      () =>
        insert().then(
          () => true,
          () => undefined,
        ),
      60_000,
    );
    expect(await becomes('writes allowed', (ready) => ready.writes_stopped !== true)).toMatchObject({
      code: 200,
    });
  },
  120_000,
);

/** Commits rows until one does not return. */
async function untilStuck(): Promise<{ readonly commit: Promise<void> }> {
  for (;;) {
    let returned = false;
    const commit = insert('set transaction read write; ').then(() => void (returned = true));
    commit.catch(() => {});
    await eventually(
      'the commit returns, or commits are stuck',
      async () => {
        if (returned) return true;
        return (await readyz()).code === 503 ? true : undefined;
      },
      60_000,
    );
    if (!returned) return { commit };
    // A new segment is needed at once.
    await queryLocal(
      { ...to, user: 'cloud_admin', host: join(rig.dir, 'run'), password: null },
      'select pg_switch_wal()',
    );
  }
}

const stuck = [
  {
    name: 'a full disk',
    kind: 'disk_full',
    words: 'the disk is full',
    begin: () => fillUpTo(0),
    end: () => rmSync(ballast()),
  },
  {
    name: 'a file system that became read-only',
    kind: 'read_only',
    words: 'the file system is read-only',
    // Not the file system itself, which has a file that is open for writing.
    begin: () =>
      execFileSync('sh', [
        '-c',
        `mount --bind ${mounted()} ${mounted()} && mount -o remount,ro,bind ${mounted()}`,
      ]),
    end: () => execFileSync('umount', ['-l', mounted()]),
  },
  {
    name: 'a folder that the storage may not write to any more',
    kind: 'permission',
    words: 'the permission to write is missing',
    begin: () => execFileSync('sh', ['-c', `chown root ${mounted()}/*/*/wal`]),
    end: () => execFileSync('sh', ['-c', `chown --reference=${mounted()} ${mounted()}/*/*/wal`]),
  },
] as const;

test.runIf(mayMount).each(stuck)(
  '$name makes the compute not ready with the reason, is logged once a minute, and is over by itself',
  async ({ kind, words, begin, end }) => {
    let waiting = Promise.resolve();
    begin();
    try {
      waiting = (await untilStuck()).commit;
      const ready = await becomes('the reason', ({ reason }) => reason?.includes(words) === true);
      expect(ready.reason).toBe(`commits do not return: the storage says that ${words}`);
      const trouble = await told('trouble', 'receiver', kind);
      expect(trouble.what).toBe('the storage does not receive WAL, so commits wait');
      const shown = await status();
      expect(shown).toMatch(/^ +the storage does not receive WAL, so commits wait, since \S+: \S+/m);
      // It fails many times meanwhile.
      await eventually(
        'several failures',
        async () => ((await failuresOf('receiver')) > 8 ? true : undefined),
        60_000,
      );
      expect(linesAbout(new RegExp(`does not receive WAL.*kind=${kind}`))).toHaveLength(1);
      expect(linesAbout(/receiving WAL from the compute|pg_receivewal exited/).length).toBeLessThan(12);
    } finally {
      end();
    }
    await waiting;
    expect(await becomes('ready again', ({ code }) => code === 200)).not.toHaveProperty('reason');
    await told('trouble-over', 'receiver');
    if (kind === 'disk_full') await restartHard();
  },
  180_000,
);

test.runIf(mayMount)('a receiver that is killed again and again is a trouble, and once is none', async () => {
  const kill = (): void => {
    try {
      const pidFile = execFileSync('sh', ['-c', `cat ${mounted()}/*/*/receiver.pid 2>/dev/null`], {
        encoding: 'utf8',
      });
      process.kill((JSON.parse(pidFile) as { pid: number }).pid, 'SIGKILL');
    } catch {
      // There is none at the moment.
    }
  };
  kill();
  await insert();
  expect(events()).toEqual([]);
  await eventually(
    'the trouble',
    () => {
      kill();
      return events().find((one) => one.event === 'trouble' && one.kind === 'other');
    },
    60_000,
  );
  await insert();
  await told('trouble-over', 'receiver');
});

test.runIf(mayMount)(
  'WAL that somebody removed is noticed, and a new base backup of the running compute replaces it',
  async () => {
    const wal = execFileSync('sh', ['-c', `echo ${mounted()}/*/*/wal`], { encoding: 'utf8' }).trim();
    for (let at = 0; at < 3; at++) {
      await insert();
      await queryLocal(
        { ...to, user: 'cloud_admin', host: join(rig.dir, 'run'), password: null },
        'select pg_switch_wal()',
      );
    }
    await insert();
    const segments = readdirSync(wal)
      .filter((name) => /^[0-9A-F]{24}$/.test(name))
      .toSorted();
    rmSync(join(wal, segments.at(-2) ?? ''));
    expect(await told('trouble', 'wal', 'wal_gap')).toMatchObject({
      reason: expect.stringContaining(`${segments.at(-2)} is missing`) as string,
    });
    await told('trouble-over', 'wal');
    await insert();
    await restartHard();
  },
  180_000,
);
