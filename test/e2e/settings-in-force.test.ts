import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rig } from '../support/compute.ts';

interface Body {
  readonly status: string;
  readonly error: string | null;
  readonly pending_restart?: readonly { readonly name: string }[];
}

test('/configure says what needs a restart, and a misspelt setting fails it, which leaves the earlier file', async () => {
  const it = await rig();
  try {
    it.start();
    await it.until('running');
    const { cluster } = it.spec() as { cluster: { settings: object[] } };
    const configure = (...more: object[]): ReturnType<typeof it.http> => {
      const spec = it.spec({ cluster: { ...cluster, settings: [...cluster.settings, ...more] } });
      return it.http('POST', '/configure', it.config(spec));
    };
    const conf = (): string => readFileSync(join(it.pgdata, 'postgresql.conf'), 'utf8');
    const restart = { name: 'max_connections', value: '77', vartype: 'integer' };

    const answer = await configure(restart);
    expect(answer.status).toBe(200);
    const pending = [{ name: 'max_connections', current: expect.any(String) as string, wanted: '77' }];
    expect(answer.json<Body>().pending_restart).toEqual(pending);
    expect((await it.http('GET', '/status')).json<Body>().pending_restart).toEqual(pending);

    const before = conf();
    const refused = await configure(restart, { name: 'shared_bufers', value: '1MB', vartype: 'string' });
    expect(refused.status).toBe(500);
    expect(refused.json<Body>().error).toMatch(
      /^compute configuration failed: ".*postgresql\.conf, line \d+: shared_bufers: unrecognized/,
    );
    expect(conf()).toBe(before);
    const now = (await it.http('GET', '/status')).json<Body>();
    expect(now).toMatchObject({ status: 'failed', pending_restart: pending });
    expect(now.error).toContain('the earlier configuration stays in force');

    const repaired = await configure();
    expect(repaired.status).toBe(200);
    expect(repaired.json<Body>()).not.toHaveProperty('pending_restart');
  } finally {
    await it.stop();
  }
});
