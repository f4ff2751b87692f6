import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { PrepareContext } from '../../../src/local/next/context.ts';
import { createNext } from '../../../src/local/next/places.ts';
import { prepare } from '../../../src/local/next/prepare.ts';
import { noteFile } from '../../../src/postgres/prepared/note.ts';
import { type LocalFixture, never, withStorage } from './fixture.ts';

const contextOf = ({ dir, state, tools }: LocalFixture, change: Partial<PrepareContext> = {}) => ({
  ...{ dir, state, tools, mostBytes: null, onlyAdvance: false, log: pino({ level: 'silent' }) },
  diskLimits: { warnBytes: 0, stopBytes: 0 },
  onCopied() {},
  ...change,
});

/** As one that an earlier sleep has left. */
function oldTemplate(path: string): void {
  createNext(path);
  mkdirSync(join(path, 'base'));
  writeFileSync(join(path, noteFile), '{}');
}

test('what cannot succeed is not begun: after a crash the whole data was copied first, and then refused', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    await compute.query('create table t (n int)');
    await compute.kill('SIGKILL');
    await expect.poll(() => storage.timeline.receiver.attached).toBeNull();
    const context = contextOf(local);
    await expect(prepare(context, never)).rejects.toThrow('Postgres was not stopped in order');
    expect(existsSync(local.dir.nextFresh)).toBe(false);

    const next = await local.startCompute('second');
    await next.kill('SIGINT');
    await expect.poll(() => storage.timeline.receiver.attached).toBeNull();
    const { way, lsn } = await prepare(context, never);
    expect(JSON.parse(readFileSync(join(local.dir.nextFresh, noteFile), 'utf8'))).toMatchObject({ lsn });
    expect(way).toBe('unpacked');
  });
});

test('where the disk is low, or the data too large by now, an earlier template gives back what it takes', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    await compute.kill('SIGINT');
    await expect.poll(() => storage.timeline.receiver.attached).toBeNull();
    const { nextTemplate } = local.dir;
    for (const [change, why] of [
      [{ diskLimits: { warnBytes: 2 ** 60, stopBytes: 0 } }, 'more would leave less than'],
      [{ mostBytes: 1 }, '--prepare-at-most'],
    ] as const) {
      oldTemplate(nextTemplate);
      await expect(prepare(contextOf(local, change), never)).rejects.toThrow(why);
      expect([why, existsSync(nextTemplate)]).toEqual([why, false]);
    }
  });
});
