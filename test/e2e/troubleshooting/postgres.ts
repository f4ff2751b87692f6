import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setting, settingsOf } from './parts.ts';
import type { Mistake } from './mistake.ts';
import type { Scene } from './scene.ts';

async function startWith(scene: Scene, name: string, value: string): Promise<string> {
  const spec = (await scene.compute()).spec();
  settingsOf(spec).push(setting(name, value));
  return scene.failedStart({ spec });
}

/** `/configure` with another spec, to a compute that runs. */
async function configure(scene: Scene, change: (spec: Record<string, unknown>) => void): Promise<string> {
  const it = await scene.compute();
  const program = it.start();
  await it.until('running');
  const spec = it.spec();
  change(spec);
  const answer = await it.http('POST', '/configure', it.config(spec));
  const { error } = await it.until('failed');
  program.kill('SIGTERM');
  await program.exited();
  return scene.stable(
    `$ curl -d @config.json … http://127.0.0.1:3080/configure\n${answer.status} ${answer.body}\n` +
      `$ curl … http://127.0.0.1:3080/status | jq -r .error\n${String(error)}`,
  );
}

const conf = (line: string): string => `In the spec: \`${line}\`.`;

/** PostgreSQL and what it is started with. */
export const postgres: readonly Mistake[] = [
  {
    code: 'postgres_missing',
    title: 'There is no postgres program',
    provoke: (scene) => scene.refusedStart({ args: ['-b', '/usr/local/pgsql/bin/postgres'] }),
  },
  {
    code: 'postgres_version',
    title: 'The program is not a PostgreSQL server',
    provoke: (scene) => scene.refusedStart({ args: ['-b', '/bin/true'] }),
  },
  {
    code: 'postgres_version',
    title: 'PostgreSQL is too old',
    provoke: (scene) =>
      scene.refusedStart({
        args: ['-b', scene.program('postgres-9.6', 'echo "postgres (PostgreSQL) 9.6.24"')],
      }),
  },
  {
    code: 'postgres_start',
    title: 'A preloaded library is not installed',
    given: conf('shared_preload_libraries = no_such_library'),
    provoke: (scene) => startWith(scene, 'shared_preload_libraries', 'no_such_library'),
  },
  {
    code: 'postgres_start',
    title: 'A setting is misspelt (at the start)',
    given: conf('work_memm = 4MB'),
    provoke: (scene) => startWith(scene, 'work_memm', '4MB'),
  },
  {
    code: 'postgres_start',
    title: 'A setting has a value that PostgreSQL cannot use',
    given: conf('max_connections = many'),
    provoke: (scene) => startWith(scene, 'max_connections', 'many'),
  },
  {
    code: 'postgres_start',
    title: 'The port of PostgreSQL is in use',
    async provoke(scene) {
      const it = await scene.compute();
      const { close } = await scene.listen(it.port);
      try {
        return await scene.failedStart();
      } finally {
        close();
      }
    },
  },
  {
    code: 'settings_refused',
    title: 'A new configuration has a misspelt setting',
    given: `${conf('work_memm = 4MB')} The compute runs.`,
    provoke: (scene) => configure(scene, (spec) => settingsOf(spec).push(setting('work_memm', '4MB'))),
  },
  {
    code: 'settings_refused',
    title: 'A new configuration has a value that PostgreSQL cannot use',
    given: `${conf('work_mem = lots')} The compute runs.`,
    provoke: (scene) => configure(scene, (spec) => settingsOf(spec).push(setting('work_mem', 'lots'))),
  },
  {
    code: 'postgres_exited',
    title: 'PostgreSQL is killed while it runs',
    given: 'What the last line of the log says after `kill -9` of the postmaster.',
    async provoke(scene) {
      const it = await scene.compute();
      const program = it.start();
      await it.until('running');
      process.kill(Number.parseInt(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8'), 10), 'SIGKILL');
      const code = await program.exited();
      const last = program.stderr().trimEnd().split('\n').at(-1) ?? '';
      return scene.stable(`${last}\nexit code ${code}`);
    },
  },
  {
    code: 'catalog',
    title: 'The owner of a database does not exist',
    given: 'In the spec: a database `shop` with `"owner": "nobody"`.',
    async provoke(scene) {
      const it = await scene.compute();
      const cluster = it.spec()['cluster'] as object;
      const databases = [{ name: 'shop', owner: 'nobody', options: null }];
      return scene.failedStart({ spec: it.spec({ cluster: { ...cluster, databases } }) });
    },
  },
  {
    code: 'sql',
    title: 'plan is asked while nothing runs',
    async provoke(scene) {
      const it = await scene.compute();
      const config = scene.json('config.json', it.config(it.spec()));
      const connstr = `postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`;
      return scene.run('compute_ctl', ['plan', '-c', config, '-C', connstr, '-i', 'compute-1']);
    },
  },
  {
    code: 'postgres_start',
    title: 'PostgreSQL does not become ready in time',
    async provoke(scene) {
      const pgbin = scene.program(
        'postgres-slow',
        `case "$1" in --version|-C|--describe-config) exec ${scene.pgbin()} "$@";; esac; exec sleep 60`,
      );
      return scene.failedStart({ args: ['-b', pgbin, '--start-timeout', '1'] });
    },
  },
];
