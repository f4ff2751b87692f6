import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { validate } from 'dockerfile-utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Image, makeDebian, missingForImages, plainConfig } from '../support/image/base.ts';
import {
  ask,
  builtHere,
  commitUntilTheEnd,
  healthy,
  newVolume,
  runClosed,
} from '../support/image/compute-local.ts';
import type { Container } from '../support/image/container.ts';
import { readDockerfile } from '../support/image/dockerfile.ts';
import { replay } from '../support/image/replay.ts';
import { memoryDir } from '../support/scratch.ts';

// What takes longer is in test/image: `npm run test:image`.

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string): string => readFileSync(join(checkout, name), 'utf8');
const isThere = (name: string): boolean => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
const unless = (there: boolean, name: string): string => (there ? '' : `: ${name} is not installed`);

test('the Dockerfile has no fault that its language service finds', () => {
  expect(validate(read('Dockerfile'))).toEqual([]);
  expect(validate(read('Dockerfile').replace('STOPSIGNAL', 'STOPSIGNALS')).length).toBeGreaterThan(0);
});

const hadolint = isThere('hadolint');
test.skipIf(!hadolint)(`hadolint has nothing to say of the Dockerfile${unless(hadolint, 'hadolint')}`, () => {
  expect(execFileSync('hadolint', ['Dockerfile'], { cwd: checkout, encoding: 'utf8' })).toBe('');
});

const shellcheck = isThere('shellcheck');
test.skipIf(!shellcheck)(
  `shellcheck has nothing to say of the scripts${unless(shellcheck, 'shellcheck')}`,
  () => {
    const scripts = ['packaging/container/readyz', 'test/support/image/enter.sh'];
    expect(spawnSync('shellcheck', scripts, { cwd: checkout, encoding: 'utf8' }).stdout).toBe('');
  },
);

test('the images have the version of the package', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const steps = readDockerfile(join(checkout, 'Dockerfile')).stages.flatMap((stage) => stage.steps);
  const given = steps.filter(({ keyword, text }) => keyword === 'ARG' && text.startsWith('VERSION='));
  expect(given.map(({ text }) => text)).toEqual([`VERSION=${version}`, `VERSION=${version}`]);
});

const compose = isThere('docker-compose');
test.skipIf(!compose)(`compose.yaml is valid, and closed${unless(compose, 'docker-compose')}`, () => {
  const config = (text: string) =>
    spawnSync('docker-compose', ['-f', '-', '--project-directory', checkout, 'config'], {
      input: text,
      encoding: 'utf8',
    });
  const good = config(read('compose.yaml'));
  expect([good.status, good.stderr]).toEqual([0, expect.not.stringContaining('invalid') as string]);
  for (const line of ['read_only: true', 'no-new-privileges:true', 'stop_grace_period: 2m30s', '- ALL'])
    expect(good.stdout.replace('150s', '2m30s')).toContain(line);
  expect(config(read('compose.yaml').replace('read_only:', 'read_onyl:')).status).not.toBe(0);
});

const missing = missingForImages();
describe.skipIf(missing.length > 0)(
  `the image of compute-local${missing.length > 0 ? `: missing ${missing.join(', ')}` : ''}`,
  () => {
    let dir: string;
    let image: Image;
    beforeAll(() => {
      dir = memoryDir();
      const debian = makeDebian(join(dir, 'debian'), 'trixie');
      // What this machine has, so that not all of it is installed twice.
      const init = isThere('tini') ? { init: { root: '/', config: plainConfig } } : {};
      const images = { 'debian:13-slim': debian, build: builtHere(join(dir, 'built')), ...init };
      image = replay({ target: 'compute-local', images, dir });
    }, 600_000);
    afterAll(() => rmSync(dir, { recursive: true, force: true }));

    test('runs as uid 1000 without capabilities on a read-only root, is healthy, stops by its signal, and keeps each commit', async () => {
      const volume = newVolume(dir, 1000);
      const options = { user: '1000', dropAll: true, shm: '64m' };
      let container: Container = await runClosed(image, volume, options);
      try {
        expect(container.healthcheck().status).not.toBe(0);
        await healthy(container);
        expect(container.exec('cat', '/proc/1/comm').stdout).toBe('tini\n');
        expect(container.exec('touch', '/x').stderr).toContain('Read-only file system');
        expect(container.output()).not.toContain('process 1');
        ask(container, 'create table kept (n int)');
        let code = -1;
        const last = await commitUntilTheEnd(container, 1, async () => (code = await container.stop()));
        expect(code).toBe(0);
        container = await runClosed(image, volume, options);
        await healthy(container);
        expect(Number(ask(container, 'select max(n) from kept'))).toBeGreaterThanOrEqual(last);
        expect(await container.stop()).toBe(0);
      } finally {
        await container.kill();
      }
    });
  },
);
