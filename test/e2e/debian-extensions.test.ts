import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalRig, localRig, queryLocal, targetOf } from '../support/local.ts';
import { type Audited, withExtensions } from '../support/pgaudit.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';

// Extensions from Debian's packages, which are unpacked beside a copy of PostgreSQL: nothing is installed.

const postgres = defaultPostgres();
const own: Audited | null = postgres.bindir.startsWith('/usr/')
  ? withExtensions(postgres, ['cron', 'hypopg', 'ip4r'])
  : null;

let rig: LocalRig;
beforeAll(() => {
  if (own === null) return;
  // It takes longer to create than its compute stays awake by itself.
  writeFileSync(join(own.share, 'slow.control'), "default_version = '1.0'\n");
  writeFileSync(join(own.share, 'slow--1.0.sql'), 'select pg_catalog.pg_sleep(4);\n');
  rig = localRig(own.postgres);
});
afterAll(async () => {
  if (own === null) return;
  await rig.clean();
  own.remove();
});

const write = (extensions: readonly unknown[]): void =>
  writeFileSync(join(rig.dir, 'compute.json'), JSON.stringify({ databases: [{ name: 'shop' }], extensions }));

interface Answer {
  readonly changes?: readonly { readonly kind: string }[];
  readonly outcomes?: readonly { readonly name: string; readonly result: string }[];
  readonly error?: null | {
    readonly problems: readonly { readonly path: string; readonly message: string }[];
  };
}

async function json(...args: string[]): Promise<{ code: unknown; body: Answer }> {
  const { code, stdout, stderr } = await rig.command(...args, '--json');
  if (stdout === '') throw new Error(stderr);
  return { code, body: JSON.parse(stdout) as Answer };
}

async function asleep(): Promise<void> {
  await expect
    .poll(async () => (await rig.command('status')).stdout.split('\n')[0], { timeout: 60_000, interval: 500 })
    .toContain('asleep');
}

test.runIf(own !== null)(
  "Debian's extensions are created by a compute that sleeps, one that takes long and one that is preloaded, too",
  { timeout: 180_000 },
  async () => {
    await rig.upAndReady(['--suspend-after', '2s']);
    await asleep();
    write(['hypopg', 'nosuch', { name: 'ip4r', databases: ['shop'] }, 'pg_cron']);
    const refused = await json('plan');
    expect(refused.code).toBe(1);
    expect(refused.body.error?.problems.map(({ path, message }) => [path, message])).toEqual([
      ['extensions[3]', expect.stringContaining('can be in one database only') as string],
    ]);
    write(['hypopg', 'nosuch']);
    const [missing] = (await json('plan')).body.error?.problems ?? [];
    expect(missing?.message).toContain('apt-get install postgresql-');
    expect(missing?.message).toContain('-nosuch');
    write([
      'hypopg',
      { name: 'ip4r', databases: ['shop'] },
      { name: 'pg_cron', databases: ['shop'] },
      'slow',
    ]);
    await asleep();
    // One database, then slow twice, and two settings for pg_cron, which is created after the restart.
    const applied = await json('apply', '--restart');
    const { error, outcomes } = applied.body;
    expect([applied.code, error, outcomes?.filter(({ result }) => result !== 'applied')]).toEqual([
      0,
      null,
      [],
    ]);
    await asleep();
    expect(await json('plan')).toMatchObject({ code: 0, body: { changes: [] } });
    const to = { ...targetOf((await rig.command('url')).stdout), database: 'shop' };
    const rows = await queryLocal(
      to,
      `select current_setting('cron.database_name') as cron, current_setting('cron.use_background_workers') as own,
         (select string_agg(extname, ',' order by extname) from pg_extension) as extensions, ip4 '10.0.0.1' + 1 = '10.0.0.2' as ip`,
    );
    expect(rows).toEqual([
      { cron: 'shop', own: 'on', extensions: 'hypopg,ip4r,pg_cron,plpgsql,slow', ip: true },
    ]);
  },
);
