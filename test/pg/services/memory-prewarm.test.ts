import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { locatePostgres } from '../../../src/postgres/postgres-bin.ts';
import { prewarm } from '../../../src/services/memory-prewarm.ts';
import { scratchDir } from '../../support/cluster.ts';
import { processesIn } from '../../support/compute.ts';
import { defaultPostgres, installedPostgres } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';

const never = new AbortController().signal;
const env = { PATH: process.env['PATH'] };
let home: string;
let lines: string[];
const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });

beforeEach(() => {
  home = scratchDir('prewarm');
  lines = [];
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const options = async (postgres = defaultPostgres()) => ({
  pgdata: join(home, 'pgdata'),
  bin: await locatePostgres(join(postgres.bindir, 'postgres'), env, never),
  env,
  cgroup: null,
  logFormat: 'text' as const,
  log,
});

test.each([installedPostgres()[0], installedPostgres().at(-1)])(
  'a stock PostgreSQL ($major) is started and stopped, and leaves nothing',
  async (postgres) => {
    await prewarm(await options(postgres), never);
    expect(processesIn(join(home, 'pgdata.warmup'))).toEqual([]);
    expect(readdirSync(home)).toEqual([]);
    expect(lines.join('')).toContain('prewarm of the memory took');
  },
);

test.each(['PG_VERSION', 'postmaster.opts'])(
  'a spec or a signal ends it at once, after %s is there: no process and no file is left',
  async (file) => {
    const path = join(home, 'pgdata.warmup', 'data');
    const stop = new AbortController();
    const warming = prewarm(await options(), stop.signal);
    const ended = warming.catch((error: unknown) => error);
    await eventually(file, () => existsSync(join(path, file)) || undefined);
    stop.abort(new Error('enough'));
    // It may have come to its end a moment before; then there is nothing to say.
    expect(await ended).toBeOneOf([undefined, expect.objectContaining({ message: 'enough' })]);
    expect(processesIn(path)).toEqual([]);
    expect(readdirSync(home)).toEqual([]);
  },
);

test('an initdb that fails leaves nothing', async () => {
  const given = await options();
  const failing = prewarm({ ...given, bin: { ...given.bin, sibling: () => '/bin/false' } }, never);
  await expect(failing).rejects.toThrow('/bin/false exited with code 1');
  expect(readdirSync(home)).toEqual([]);
});
