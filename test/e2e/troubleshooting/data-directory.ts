import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRoot } from './parts.ts';
import type { Mistake } from './mistake.ts';
import type { Scene, Start } from './scene.ts';

const refused = async (
  scene: Scene,
  prepare: (pgdata: string) => void,
  start: Start = {},
): Promise<string> => {
  const it = await scene.compute();
  prepare(it.pgdata);
  return scene.failedStart(start);
};

/** The directory of PostgreSQL, the user of the processes, and what the machine lacks. */
export const dataDirectory: readonly Mistake[] = [
  {
    code: 'pgdata_refused',
    title: 'PGDATA is a cluster that somebody else created',
    async provoke(scene) {
      return refused(scene, (pgdata) => {
        mkdirSync(pgdata);
        for (const name of ['PG_VERSION', 'base', 'global', 'pg_wal', 'postgresql.conf', 'pg_hba.conf'])
          writeFileSync(join(pgdata, name), '');
        scene.give(pgdata);
      });
    },
  },
  {
    code: 'pgdata_refused',
    title: 'PGDATA belongs to root and is not empty',
    possible: isRoot,
    async provoke(scene) {
      const it = await scene.compute();
      mkdirSync(it.pgdata);
      writeFileSync(join(it.pgdata, 'PG_VERSION'), '15\n');
      return scene.refusedStart();
    },
  },
  {
    code: 'pgdata_refused',
    title: 'PGDATA is a file',
    async provoke(scene) {
      const it = await scene.compute();
      writeFileSync(it.pgdata, '');
      return scene.refusedStart();
    },
  },
  {
    code: 'pgdata_refused',
    title: 'PGDATA is a symbolic link',
    async provoke(scene) {
      const it = await scene.compute();
      symlinkSync('/srv/elsewhere', it.pgdata);
      return scene.refusedStart();
    },
  },
  {
    code: 'pgdata_refused',
    title: 'The directory above PGDATA does not exist',
    async provoke(scene) {
      const it = await scene.compute();
      return scene.refusedStart({ args: ['-D', join(it.home, 'missing/pgdata')] });
    },
  },
  {
    code: 'pgdata_refused',
    title: 'The OS user cannot enter a directory above PGDATA',
    possible: isRoot,
    async provoke(scene) {
      const it = await scene.compute();
      mkdirSync(join(it.home, 'private'));
      chmodSync(join(it.home, 'private'), 0o700);
      return scene.failedStart({ args: ['-D', join(it.home, 'private/pgdata')] });
    },
  },
  {
    code: 'pgdata_locked',
    title: 'Another compute_ctl uses PGDATA',
    async provoke(scene) {
      const it = await scene.compute();
      it.start();
      await it.until('running');
      return scene.second(it);
    },
  },
  {
    code: 'os_user',
    title: 'The OS user does not exist',
    possible: isRoot,
    provoke: (scene) => scene.refusedStart({ args: ['--os-user', 'nobody9'] }),
  },
  {
    code: 'os_user',
    title: 'The OS user is root',
    possible: isRoot,
    provoke: (scene) => scene.refusedStart({ args: ['--os-user', 'root'] }),
  },
  {
    code: 'port',
    title: 'The HTTP port is in use',
    provoke: async (scene) => {
      const it = await scene.compute();
      const { close } = await scene.listen(it.httpPort);
      try {
        return await scene.refusedStart();
      } finally {
        close();
      }
    },
  },
  {
    code: 'port',
    title: 'The port of vm-monitor is in use',
    async provoke(scene) {
      const { close, number } = await scene.listen(0, 10301);
      try {
        return await scene.run('vm-monitor', ['--addr', `127.0.0.1:${number}`]);
      } finally {
        close();
      }
    },
  },
];
