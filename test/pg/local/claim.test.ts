import { expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { formatLsn } from '../../../src/core/lsn.ts';
import { claimGeneration as askForIt } from '../../../src/local/storage-api.ts';
import { claimGeneration } from '../../../src/local/storage/claim-generation.ts';
import { fetchArchive, withStorage } from './fixture.ts';

test('a copy of the files gets a number only when nobody has started or written since it was made', async () => {
  await withStorage(async ({ local, storage: { timeline } }) => {
    const claim = (generation: number, end_lsn: string): Promise<number> =>
      askForIt(local.state, { generation, end_lsn }, never);
    const compute = await local.startCompute();
    await compute.query('create table t (n int)');
    const copied = formatLsn(timeline.end());
    await expect(claimGeneration(timeline, timeline.generation, timeline.end(), never)).rejects.toThrow(
      'a compute is attached',
    );
    await compute.kill('SIGINT');
    await expect.poll(() => timeline.receiver.attached).toBeNull();
    const [before, end] = [timeline.generation, formatLsn(timeline.end())];
    expect(copied).not.toBe(end);
    await expect(claim(before, copied)).rejects.toThrow('status 4');
    expect(await claim(before, end)).toBe(before + 1);
    // Only one of two copies.
    await expect(claim(before, end)).rejects.toThrow('status 4');
    await fetchArchive(local);
    await expect(claim(before + 1, end)).rejects.toThrow('status 4');
    expect(timeline.generation).toBe(before + 2);
  });
});
