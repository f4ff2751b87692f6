import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { raceAbort } from '../../../../src/core/clock.ts';
import { checkRoom, refuseOtherDisk, whileRoom } from '../../../../src/local/next/room.ts';
import { placesIn } from '../../../../src/local/state.ts';

const root = mkdtempSync(join(tmpdir(), 'room-'));
afterAll(() => rmSync(root, { recursive: true }));
const limits = (warnBytes: number) => ({ dir: placesIn(root), diskLimits: { warnBytes, stopBytes: 0 } });
const ever = (signal: AbortSignal): Promise<never> => raceAbort(new Promise<never>(() => {}), signal);

test('what a preparation writes is ended before the storage would have to warn, and not only looked at before it', async () => {
  await expect(whileRoom(limits(2 ** 60), never, ever)).rejects.toThrow(/less than .* were free meanwhile/);
  expect(await whileRoom(limits(0), never, async () => 'done')).toBe('done');
});

test('its own failure and the abort are passed on', async () => {
  const failing = whileRoom(limits(0), never, () => Promise.reject(new Error('its own')));
  await expect(failing).rejects.toThrow('its own');
  const stop = new AbortController();
  const waiting = whileRoom(limits(0), stop.signal, ever);
  stop.abort(new Error('a wake'));
  await expect(waiting).rejects.toThrow('a wake');
});

test('a template that only lacks some WAL needs the room for that, and not for all data', async () => {
  const context = { ...limits(0), mostBytes: null };
  await checkRoom(context, 2 ** 60, 1024);
  await expect(checkRoom(context, 2 ** 60, 2 ** 60)).rejects.toThrow(/more would leave less than/);
  await expect(checkRoom({ ...context, mostBytes: 1 }, 2, 1)).rejects.toThrow('--prepare-at-most');
});

test('nothing is prepared where the data directory is on another file system: no start could take it over', () => {
  refuseOtherDisk({ root, pgdata: join(root, 'missing') });
  refuseOtherDisk({ root, pgdata: root });
  expect(() => refuseOtherDisk({ root, pgdata: '/proc' })).toThrow('is on another file system');
});
