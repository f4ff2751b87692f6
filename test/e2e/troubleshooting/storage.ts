import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { makeTarball, minimalEntries, truncated } from '../../support/fake-storage.ts';
import { baseBackup } from '../../support/compute.ts';
import { mayMount } from './parts.ts';
import type { Mistake } from './mistake.ts';
import type { Scene } from './scene.ts';

const nobody = '127.0.0.1:1';

async function withPageserver(scene: Scene, script: object, spec: object = {}): Promise<string> {
  const it = await scene.compute();
  Object.assign(it.pageserver.script, script);
  return scene.failedStart({ spec: it.spec(spec) });
}

async function withSafekeeper(
  scene: Scene,
  script: object,
  spec: object = {},
  args: string[] = [],
): Promise<string> {
  const it = await scene.compute();
  Object.assign(it.safekeeper.script, script);
  return scene.failedStart({ spec: it.spec(spec), args });
}

const error = (sqlstate: string, message: string): object => ({
  fault: 'error-before',
  error: { sqlstate, message },
});

/** Safekeepers, pageserver and the base backup. */
export const storage: readonly Mistake[] = [
  {
    code: 'safekeepers',
    title: 'No safekeeper is at the address',
    provoke: (scene) =>
      withSafekeeper(scene, {}, { safekeeper_connstrings: [nobody] }, ['--sync-timeout', '1']),
  },
  {
    code: 'safekeepers',
    title: 'The address of a safekeeper cannot be read',
    provoke: (scene) => withSafekeeper(scene, {}, { safekeeper_connstrings: ['safekeeper-1:five'] }),
  },
  {
    code: 'safekeepers',
    title: 'The safekeepers refuse the token',
    provoke: (scene) =>
      withSafekeeper(scene, {
        fault: 'error',
        error: { sqlstate: '28000', message: 'JWT authentication error' },
      }),
  },
  {
    code: 'safekeepers',
    title: 'The safekeepers do not know the timeline',
    provoke: (scene) => withSafekeeper(scene, { fault: 'unknown' }),
  },
  {
    code: 'basebackup',
    title: 'No pageserver is at the address',
    provoke: (scene) =>
      withPageserver(scene, {}, { pageserver_connstring: `postgresql://no_user@${nobody}` }),
  },
  {
    code: 'basebackup',
    title: 'The connection string of the pageserver is not one',
    provoke: (scene) => withPageserver(scene, {}, { pageserver_connstring: 'postgresql://no_user@' }),
  },
  {
    code: 'basebackup',
    title: 'The pageserver refuses the token',
    provoke: (scene) => withPageserver(scene, error('28000', 'JWT authentication error')),
  },
  {
    code: 'basebackup',
    title: 'The pageserver does not have the tenant',
    provoke: (scene) =>
      withPageserver(scene, error('XX000', 'tenant 3aa8fcc61f6d357410b7de754b1d9001 not found')),
  },
  {
    code: 'basebackup',
    title: 'The base backup breaks off',
    provoke: (scene) => withPageserver(scene, { fault: 'cut-middle' }),
  },
  {
    code: 'basebackup',
    title: 'Another kind of server is at the address of the pageserver',
    async provoke(scene) {
      const server = createServer((_, response) => void response.end('hello'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      try {
        const said = await withPageserver(
          scene,
          {},
          { pageserver_connstring: `postgresql://no_user@127.0.0.1:${port}` },
        );
        return said.replaceAll(String(port), '6400');
      } finally {
        server.closeAllConnections();
        server.close();
      }
    },
  },
  {
    code: 'pgdata_refused',
    title: 'The disk is full while the base backup is unpacked',
    given: 'PGDATA is on a file system of 24 MB.',
    possible: mayMount,
    async provoke(scene) {
      const it = await scene.compute();
      const small = join(it.home, 'small');
      mkdirSync(small);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=0777', 'none', small]);
      try {
        return await scene.failedStart({ args: ['-D', join(small, 'pgdata')] });
      } finally {
        execFileSync('umount', ['-l', small]);
      }
    },
  },
  {
    code: 'archive_invalid',
    title: 'The base backup is damaged',
    provoke: (scene) => withPageserver(scene, { tarball: truncated(baseBackup()) }),
  },
  {
    code: 'archive_invalid',
    title: 'The base backup would write outside of PGDATA',
    async provoke(scene) {
      const tarball = await makeTarball([...minimalEntries, { name: '../../etc/cron.d/job', body: 'x' }]);
      return withPageserver(scene, { tarball });
    },
  },
];
