import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withPg } from '../../../src/pg/client.ts';
import { reloadAndWait, reloadOn } from '../../../src/pg/reload.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';

const { signal } = new AbortController();
let it: Cluster;
beforeAll(async () => {
  it = await startCluster({ conf: "neon.max_cluster_size = '0'" });
});
afterAll(() => it.stop());

/** As a session sees it that begins now. */
const shown = (): Promise<string> =>
  withPg(it.target, { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal }, async (pg) => {
    const { rows } = await pg.query<{ value: string }>(
      "select current_setting('neon.max_cluster_size') as value",
    );
    return rows[0]?.value ?? '';
  });

const file = (): string => join(it.dataDir, 'postgresql.conf');
const write = (value: number): void => {
  const text = readFileSync(file(), 'utf8').replace(
    /^neon\.max_cluster_size.*$/m,
    `neon.max_cluster_size = '${value}'`,
  );
  writeFileSync(file(), text);
};
const ask = (): void => void it.postmaster.kill('SIGHUP');

test('what begins after a reload holds sees the new settings, twenty times of twenty', async () => {
  await withPg(it.target, { applicationName: 'test', connectMs: 5000, signal }, async (pg) => {
    for (let round = 1; round <= 20; round++) {
      write(round);
      await reloadOn(pg, ask, signal);
      expect(await shown()).toBe(String(round));
    }
  });
});

test('a reload that nobody sends is an error with its limit, and an abort ends the wait at once', async () => {
  const stop = new AbortController();
  const waiting = reloadAndWait(it.target, () => stop.abort(new Error('enough')), stop.signal);
  await expect(waiting).rejects.toThrow('enough');
});
