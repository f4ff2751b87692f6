import { chmodSync, closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dirMarker } from '../../../src/local/made.ts';
import { eventually } from '../../support/program.ts';
import { isRoot, mayDrop } from './parts.ts';
import type { Mistake } from './mistake.ts';
import { type Scene, shared } from './scene.ts';
import type { Replacement } from './stable.ts';

/** A compute-local that runs, for the commands beside it. */
const running = shared(async (scene) => {
  await scene.local().upAndReady();
});

/** One that has run, and of which everything was killed. The mistakes in it are made in this order. */
const killed = shared(async (scene) => {
  const it = scene.local();
  const { program } = await it.upAndReady();
  program.kill('SIGKILL');
  await program.exited();
  for (const what of ['postgres', 'compute_ctl', 'storage'] as const) {
    const pid = it.pidOf(what);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await eventually('it has ended', () => (it.pidOf(what) === undefined ? true : undefined));
  }
});

const beside = async (...args: string[]): Promise<string> => {
  const scene = await running();
  return scene.run('compute-local', [...args.slice(0, 1), '--dir', scene.local().dir, ...args.slice(1)]);
};

const inNone = (scene: Scene, ...args: string[]): Promise<string> =>
  scene.run('compute-local', [...args.slice(0, 1), '--dir', scene.file('none'), ...args.slice(1)]);

/** A directory of the user of the servers with these files in it. */
function foreign(scene: Scene, ...names: string[]): string {
  const dir = scene.file('shop');
  mkdirSync(dir);
  for (const name of names) writeFileSync(join(dir, name), '');
  scene.give(dir);
  return dir;
}

/** What is in directories of the system. */
const ofTheSystem: Replacement = [/\([^()]*, [^()]*\)/g, '(…)'];

/** compute-local and its directory. */
export const local: readonly Mistake[] = [
  {
    code: 'dir_refused',
    title: '--dir holds the files of somebody else',
    provoke: (scene) =>
      scene.run('compute-local', [
        'up',
        '--dir',
        foreign(scene, 'Gemfile', 'app', 'config', 'log', 'storage', 'tmp'),
      ]),
  },
  {
    code: 'dir_refused',
    title: '--dir is a file',
    provoke: (scene) => scene.run('compute-local', ['up', '--dir', scene.file('notes.txt', '')]),
  },
  {
    code: 'dir_refused',
    title: '--dir is a directory of the system',
    provoke: (scene) => {
      scene.show(ofTheSystem);
      return scene.run('compute-local', ['up', '--dir', '/etc']);
    },
  },
  {
    code: 'dir_refused',
    title: '--dir is in /proc',
    provoke: (scene) => {
      scene.show(ofTheSystem);
      return scene.run('compute-local', ['up', '--dir', '/proc/sys/kernel']);
    },
  },
  {
    code: 'dir_refused',
    title: '--dir is in the directory of another compute-local',
    async provoke() {
      const scene = await running();
      return scene.run('compute-local', ['up', '--dir', join(scene.local().dir, 'second')]);
    },
  },
  {
    code: 'dir_refused',
    title: 'A directory of somebody else is reset',
    provoke: (scene) =>
      scene.run('compute-local', ['reset', '--yes', '--dir', foreign(scene, 'Gemfile', 'log')]),
  },
  {
    code: 'dir_refused',
    title: 'The OS user may not write to the directory above --dir',
    possible: isRoot,
    async provoke(scene) {
      mkdirSync(scene.file('private'));
      chmodSync(scene.file('private'), 0o700);
      return scene.run('compute-local', ['up', '--dir', join(scene.file('private'), 'local')]);
    },
  },
  {
    code: 'dir_refused',
    title: 'Root has no capabilities',
    given: 'Started as root in a container that drops all capabilities.',
    possible: mayDrop,
    provoke: (scene) =>
      scene.run(
        'compute-local',
        ['up', '--dir', scene.file('local')],
        'set -- setpriv --inh-caps=-all --bounding-set=-all "$@"',
      ),
  },
  {
    code: null,
    title: 'up after everything was killed',
    given:
      'All processes of compute-local were ended with `kill -9`. The log-in and the ports stay, and no commit is lost.',
    async provoke() {
      const scene = await killed();
      return scene.untilReady(scene.local().dir);
    },
  },
  {
    code: 'dir_refused',
    title: 'The storage is not in its place',
    given: 'The directory `storage`, a mount of its own, is empty.',
    async provoke() {
      const scene = await killed();
      const { dir } = scene.local();
      rmSync(join(dir, 'storage'), { recursive: true });
      mkdirSync(join(dir, 'storage'));
      scene.give(dir);
      return scene.run('compute-local', ['up', '--dir', dir]);
    },
  },
  {
    code: null,
    title: 'reset where somebody else has put files',
    async provoke() {
      const scene = await killed();
      const { dir } = scene.local();
      writeFileSync(join(dir, 'notes.txt'), 'keep me');
      return scene.run('compute-local', ['reset', '--dir', dir, '--yes']);
    },
  },
  {
    code: 'conflict',
    title: 'compute-local runs already',
    provoke: () => beside('up'),
  },
  {
    code: 'conflict',
    title: 'A running compute-local is reset',
    provoke: () => beside('reset', '--yes'),
  },
  {
    code: 'not_found',
    title: '--at-lsn lies beyond the end of the WAL',
    provoke: () => beside('up', '--at-lsn', 'F/0'),
  },
  {
    code: 'conflict',
    title: 'There is no replica to promote',
    provoke: () => beside('promote'),
  },
  {
    code: 'conflict',
    title: 'The URL of a database that was never created',
    provoke: (scene) => inNone(scene, 'url'),
  },
  {
    code: 'conflict',
    title: 'psql before up',
    provoke: (scene) => inNone(scene, 'psql'),
  },
  {
    code: 'conflict',
    title: 'A replica of nothing',
    provoke: (scene) => inNone(scene, 'up', '--replica'),
  },
  {
    code: 'postgres_missing',
    title: '--pg-bin-dir has no PostgreSQL',
    provoke: (scene) => inNone(scene, 'up', '--pg-bin-dir', '/usr/local/pgsql/bin'),
  },
  {
    code: 'os_user',
    title: 'The OS user of compute-local does not exist',
    possible: isRoot,
    provoke: (scene) => inNone(scene, 'up', '--os-user', 'nobody9'),
  },
  {
    code: 'port',
    title: 'The port of compute-local is in use',
    async provoke(scene) {
      const { close, number } = await scene.listen(0, 25432);
      try {
        return await scene.run('compute-local', ['up', '--dir', scene.local().dir, '--port', String(number)]);
      } finally {
        close();
      }
    },
  },
  {
    code: 'config_unreadable',
    title: 'local.json is damaged',
    async provoke(scene) {
      const it = scene.local();
      writeFileSync(join(it.dir, 'local.json'), '{"version": 1, "ports"');
      const fd = openSync(it.dir, 'r');
      dirMarker.put(fd);
      closeSync(fd);
      scene.give(it.dir);
      return scene.run('compute-local', ['up', '--dir', it.dir]);
    },
  },
  { code: null, title: 'status while nothing runs', provoke: (scene) => inNone(scene, 'status') },
  { code: null, title: 'stop while nothing runs', provoke: (scene) => inNone(scene, 'stop') },
  { code: null, title: 'reset of nothing', provoke: (scene) => inNone(scene, 'reset', '--yes') },
  {
    code: null,
    title: 'psql is asked for what does not exist',
    provoke: () => beside('psql', '-c', 'select * from orders'),
  },
];
