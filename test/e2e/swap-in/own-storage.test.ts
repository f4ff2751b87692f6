import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Rig, processesIn, rig } from '../../support/compute.ts';
import { startFakePageserver, startFakeSafekeeper } from '../../support/fake-storage.ts';
import { eventually } from '../../support/program.ts';

const page = readFileSync(new URL('../../../docs/swap-in.md', import.meta.url), 'utf8');
const section = page.slice(page.indexOf('## Point it at your pageservers and safekeepers'));

/** The config of the page, with addresses and ports of this machine. */
function pageConfig(it: Rig, addresses: Readonly<Record<string, string>>): Record<string, unknown> {
  let text = /```json\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  for (const [ofPage, here] of Object.entries(addresses)) text = text.replaceAll(ofPage, here);
  const config = JSON.parse(text) as {
    spec: { cluster: { settings: object[] } };
    compute_ctl_config: object;
  };
  const { settings } = config.spec.cluster;
  // A port that is free here, and what only Neon's PostgreSQL has.
  config.spec.cluster.settings = settings.filter(
    (one) => !/shared_preload_libraries|synchronous_standby_names|"port"/.test(JSON.stringify(one)),
  );
  const setting = (name: string, value: string): object => ({ name, value, vartype: 'string' });
  config.spec.cluster.settings.push(
    setting('port', String(it.port)),
    setting('unix_socket_directories', join(it.home, 'run')),
  );
  return { ...config, compute_ctl_config: { jwks: it.keys.jwks } };
}

test('the config of the page reaches two shards and three safekeepers with its token', async () => {
  const it = await rig();
  const token = 'storage-token';
  it.pageserver.script.token = token;
  const second = await startFakePageserver({ tarball: Buffer.alloc(0), token });
  const known = { flush: '0/169B1D8', commit: '0/169B1D8', token };
  const safekeepers = await Promise.all([0, 1, 2].map(() => startFakeSafekeeper(known)));
  const pageservers = [await startFakePageserver({ tarball: it.pageserver.script.tarball, token }), second];
  try {
    const file = join(it.home, 'config.json');
    const config = pageConfig(it, {
      'pageserver-1:6400': pageservers[0]?.address ?? '',
      'pageserver-2:6400': pageservers[1]?.address ?? '',
      'safekeeper-1:5454': safekeepers[0]?.address ?? '',
      'safekeeper-2:5454': safekeepers[1]?.address ?? '',
      'safekeeper-3:5454': safekeepers[2]?.address ?? '',
      STORAGE_TOKEN: token,
    });
    writeFileSync(file, JSON.stringify(config));
    const program = it.run(['-c', file, '-i', 'compute-1']);
    await it.until('running');
    expect(pageservers[0]?.commands).toEqual([
      expect.stringMatching(
        /^basebackup 3aa8fcc61f6d357410b7de754b1d9001 641e5342083b2235ee3deb8066819683 0\/169B1D8/,
      ),
    ]);
    expect(second.commands).toEqual([]);
    for (const one of safekeepers) expect(one.commands).toContain('TIMELINE_STATUS');
    const conf = readFileSync(join(it.pgdata, 'postgresql.conf'), 'utf8');
    expect(conf).toContain(`neon.safekeepers='g#1:${safekeepers.map(({ address }) => address).join(',')}'`);
    expect(conf).toContain('neon.stripe_size=2048');
    program.kill('SIGTERM');
    expect(await program.exited()).toBe(0);
    await eventually('the end', () => processesIn(it.pgdata).length === 0 || undefined);
  } finally {
    await it.stop();
    for (const one of [...safekeepers, ...pageservers]) await one.stop();
  }
});
