import { cpSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../support/cluster.ts';
import { rig } from '../support/compute.ts';
import { makeOrphans, zombiesOf } from '../support/first-process.ts';
import { type Image, makeDebian, missingForImages, plainConfig } from '../support/image/base.ts';
import { ask, commitUntilTheEnd, healthy, newVolume, runClosed } from '../support/image/compute-local.ts';
import { type Container, runImage } from '../support/image/container.ts';
import { replay } from '../support/image/replay.ts';
import { installedPostgres, osUser } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';
import { memoryDir } from '../support/scratch.ts';

const missing = missingForImages();
const without = missing.length > 0 ? `: missing ${missing.join(', ')}` : '';

/** As Node's own images of Debian: npm beside it in /usr/local. */
function withNode(root: string): Image {
  const debian = makeDebian(root, 'bookworm');
  const [bin, lib] = [join(root, 'usr/local/bin'), join(root, 'usr/local/lib/node_modules')];
  const node = realpathSync(execFileSync('sh', ['-c', 'command -v node'], { encoding: 'utf8' }).trim());
  const npm = dirname(
    dirname(realpathSync(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim())),
  );
  mkdirSync(lib, { recursive: true });
  cpSync(node, join(bin, 'node'));
  cpSync(npm, join(lib, 'npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(bin, 'npm'));
  const certificates = process.env['NODE_EXTRA_CA_CERTS'];
  if (certificates === undefined) return debian;
  // Of a network that looks into TLS.
  const name = '/usr/local/share/certificates.crt';
  cpSync(realpathSync(certificates), join(root, name));
  return {
    ...debian,
    config: { ...debian.config, env: { ...debian.config.env, NODE_EXTRA_CA_CERTS: name } },
  };
}

describe.skipIf(missing.length > 0)(
  `the images, each made by every instruction of the Dockerfile${without}`,
  () => {
    let dir: string;
    let images: Record<string, Image>;
    let image: Image;
    beforeAll(() => {
      dir = memoryDir();
      images = {
        'debian:13-slim': makeDebian(join(dir, 'debian'), 'trixie'),
        'node:24-bookworm-slim': withNode(join(dir, 'node')),
      };
      image = replay({ target: 'compute-local', images, dir });
    }, 1_200_000);
    afterAll(() => rmSync(dir, { recursive: true, force: true }));

    const running: Container[] = [];
    afterEach(async () => {
      for (const container of running.splice(0)) await container.kill();
    });
    const run: typeof runClosed = async (...args) => {
      const container = await runClosed(...args);
      running.push(container);
      return container;
    };

    test('has its labels, its user, its volume and its ports', () => {
      const { config } = image;
      expect(config).toMatchObject({
        user: '999:999',
        volumes: ['/var/lib/compute-local'],
        ports: ['5432', '3080'],
      });
      expect(Object.keys(config.labels).every((name) => name.startsWith('org.opencontainers.image.'))).toBe(
        true,
      );
      expect(config.labels).toMatchObject({ 'org.opencontainers.image.base.name': 'debian:13-slim' });
      expect(Object.values(config.labels)).not.toContain('');
    });

    test.each([
      { name: 'its own user', options: {}, owner: 999 },
      { name: 'root with the capabilities of Docker', options: { user: 'root' }, owner: 0 },
      { name: 'uid 1000 without capabilities', options: { user: '1000', dropAll: true }, owner: 1000 },
      {
        name: 'its own user in a volume of root that its group may write',
        options: {},
        owner: 0,
        mode: '2775',
        group: 999,
      },
    ])('runs as $name: starts, answers, stops in order', async ({ options, owner, mode, group }) => {
      const volume = newVolume(dir, owner);
      if (mode !== undefined) execFileSync('sh', ['-c', `chgrp ${group} "$0" && chmod ${mode} "$0"`, volume]);
      const container = await run(image, volume, options);
      await healthy(container);
      const status = container.exec('compute-local', 'status');
      expect([status.status, status.stderr]).toEqual([0, '']);
      expect(ask(container, 'select 1')).toBe('1');
      // Orphans of all that is run beside it.
      makeOrphans(container.pid, 100);
      await eventually('no zombies', () => zombiesOf(container.pid) === 0 || undefined);
      expect(await container.stop()).toBe(0);
      expect(container.output()).toContain('Stopped.');
    });

    test('says what is wrong when its user has no name', async () => {
      const container = await run(image, newVolume(dir, 4711), { user: '4711' });
      expect(await container.exited()).not.toBe(0);
      expect(container.output()).toContain('initdb requires one');
      expect(container.output()).toContain('Code: os_user');
    });

    test('a container that is killed, and one that is stopped, lose no commit that was confirmed', async () => {
      const volume = newVolume(dir, 999);
      let container = await run(image, volume);
      await healthy(container);
      ask(container, 'create table kept (n int)');
      let last = 0;
      for (const end of [(one: Container) => one.kill(), (one: Container) => one.stop()]) {
        const now = container;
        last = await commitUntilTheEnd(now, last + 1, () => end(now));
        container = await run(image, volume);
        await healthy(container);
        expect(Number(ask(container, 'select max(n) from kept'))).toBeGreaterThanOrEqual(last);
      }
    });

    test('64 MB of /dev/shm are enough for a parallel query', async () => {
      const container = await run(image, newVolume(dir, 999), { shm: '64m' });
      await healthy(container);
      const forced = [
        'set parallel_setup_cost = 0',
        'set parallel_tuple_cost = 0',
        'set min_parallel_table_scan_size = 0',
      ];
      const plan = ask(
        container,
        'create table numbers as select generate_series(1, 300000) as n',
        'analyze numbers',
        ...forced,
        'explain (analyze, costs off, timing off) select count(*) from numbers a join numbers b using (n)',
      );
      expect(plan).toMatch(/Workers Launched: [1-9]/);
    });

    test('an image with PostgreSQL is a base as well: nothing is installed, and its entry point and stop signal do not stay', async () => {
      const foreign = {
        ...plainConfig,
        env: { ...plainConfig.env, PGDATA: '/var/lib/postgresql/data' },
        entrypoint: ['docker-entrypoint.sh'],
        cmd: ['postgres'],
        stopSignal: 'SIGINT',
      };
      const below = join(dir, 'again');
      mkdirSync(below);
      const base = { root: image.root, config: foreign };
      // What the stage makes itself.
      for (const name of ['compute-local', 'vm-monitor']) rmSync(join(image.root, 'usr/local/bin', name));
      const build = { root: image.root, config: plainConfig };
      const again = replay({
        target: 'compute-local',
        args: { BASE_IMAGE: 'postgres:17' },
        images: { ...images, 'postgres:17': base, build },
        dir: below,
      });
      for (const name of ['compute-local', 'vm-monitor'])
        symlinkSync('compute_ctl', join(image.root, 'usr/local/bin', name));
      expect(again.config).toMatchObject({
        stopSignal: 'SIGTERM',
        cmd: image.config.cmd,
        entrypoint: image.config.entrypoint,
      });
      expect(again.config.labels).toMatchObject({ 'org.opencontainers.image.base.name': 'postgres:17' });
      const container = await run(again, newVolume(dir, 999));
      await healthy(container);
      expect(await container.stop()).toBe(0);
    });

    test('compute_ctl in a compute image: the one file is replaced, all else stays, it is healthy and stops by its signal', async () => {
      const user = `${osUser?.uid}:${osUser?.gid}`;
      const config = {
        ...plainConfig,
        user,
        entrypoint: ['/usr/local/bin/compute_ctl'],
        env: { ...plainConfig.env, KEPT: 'yes' },
      };
      const neon = join(dir, 'neon');
      execFileSync('cp', ['-a', image.root, neon]);
      const old = join(neon, 'usr/local/bin/compute_ctl');
      rmSync(old);
      writeFileSync(old, '#!/bin/sh\nexit 9\n', { mode: 0o755 });
      const args = { NEON_COMPUTE_IMAGE: 'compute-node-v17:1' };
      const compute = replay({
        target: 'compute_ctl',
        args,
        images: {
          ...images,
          'compute-node-v17:1': { root: neon, config },
          build: { root: image.root, config: plainConfig },
        },
        dir: join(dir, 'again'),
      });
      expect(compute.config).toMatchObject({ user, env: config.env });
      const it = await rig(installedPostgres().find(({ major }) => major === 17));
      try {
        const file = join(it.home, 'config.json');
        writeFileSync(file, JSON.stringify(it.config(it.spec())));
        mkdirSync(join(compute.root, it.home), { recursive: true });
        const connstr = `postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`;
        const [http, internal] = [String(it.httpPort), String(await freePort())];
        const container = await runImage(compute, {
          cmd: [
            '-D',
            it.pgdata,
            '-C',
            connstr,
            '-c',
            file,
            '-i',
            'compute-1',
            '-b',
            '/usr/lib/postgresql/17/bin/postgres',
            '--external-http-port',
            http,
            '--internal-http-port',
            internal,
          ],
          mounts: { [it.home]: it.home, '/tmp': 'tmpfs' },
          readOnly: true,
          // Where the doubles of the storage are.
          hostNetwork: true,
        });
        running.push(container);
        const [readyz = ''] = compute.config.healthcheck?.command ?? [];
        await eventually('its health', () => container.exec(readyz, http).status === 0 || undefined).catch(
          (error: unknown) => {
            throw new Error(container.output(), { cause: error });
          },
        );
        expect(container.exec('sh', '-c', 'echo $KEPT; cat /proc/1/comm').stdout).toBe('yes\ntini\n');
        expect(await container.stop()).toBe(0);
        expect(container.output()).not.toContain('process 1');
      } finally {
        await it.stop();
      }
    });
  },
);
