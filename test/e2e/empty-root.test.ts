import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../support/cluster.ts';
import { killAllOf, rig } from '../support/compute.ts';
import { inRoot, makeEmptyRoot } from '../support/empty-root.ts';
import { builtHere } from '../support/image/compute-local.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';

describe.runIf(process.getuid?.() === 0)(
  'an otherwise empty root file system with PostgreSQL and the executable is enough',
  () => {
    const postgres = defaultPostgres();
    let empty: string;
    let built: string;
    beforeAll(() => {
      empty = scratchDir('root');
      built = scratchDir('built');
      const program = join(builtHere(built).root, 'usr/local/bin/compute_ctl');
      makeEmptyRoot(empty, postgres, program);
    });
    afterAll(() => {
      killAllOf(empty);
      for (const dir of [empty, built]) rmSync(dir, { recursive: true, force: true });
    });

    interface Started {
      readonly child: ChildProcess;
      readonly said: { stdout: string; stderr: string };
      /** Of what has not ended. */
      until(what: string, probe: () => Promise<boolean> | boolean): Promise<void>;
      stop(): Promise<number | null>;
    }

    function start(...args: string[]): Started {
      const [command, ...rest] = inRoot(empty, args);
      const { PATH } = process.env;
      const child = spawn(command, rest, { env: { PATH }, stdio: ['ignore', 'pipe', 'pipe'] });
      const said = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr'] as const)
        child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text));
      const explained = (error: unknown): never => {
        throw new Error(`${said.stdout}\n${said.stderr}`, { cause: error });
      };
      return {
        child,
        said,
        async until(what, probe) {
          const probed = async (): Promise<true | 'ended' | undefined> =>
            child.exitCode !== null ? 'ended' : (await probe()) || undefined;
          const found = await eventually(what, probed, 90_000).catch(explained);
          if (found === 'ended') explained(new Error('it has ended'));
        },
        async stop() {
          child.kill('SIGTERM');
          await eventually('the end', () => child.exitCode ?? undefined, 60_000).catch(explained);
          return child.exitCode;
        },
      };
    }

    test('for compute-local', async () => {
      const local = ['--dir', '/var/lib/compute-local'];
      const up = start('compute-local', 'up', ...local, '--json');
      try {
        await up.until('the start', () => up.said.stdout.includes('"event":"ready"'));
        const psql = start('compute-local', 'psql', ...local, '--', '-Atc', 'select 1');
        await once(psql.child, 'close');
        expect(psql.said.stdout).toBe('1\n');
        expect(await up.stop()).toBe(0);
      } finally {
        up.child.kill('SIGKILL');
      }
    });

    test('for compute_ctl', async () => {
      const it = await rig();
      const spec = it.spec() as { cluster: { settings: { name: string; value: string }[] } };
      for (const setting of spec.cluster.settings)
        if (setting.name === 'unix_socket_directories') setting.value = '/tmp';
      writeFileSync(join(empty, 'etc/config.json'), JSON.stringify(it.config(spec)));
      const connstr = `postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`;
      const given = ['-c', '/etc/config.json', '-i', 'compute-1', '-C', connstr, '-D', '/var/lib/pgdata'];
      const http = [String(it.httpPort), String(await freePort())] as const;
      const ports = ['--external-http-port', http[0], '--internal-http-port', http[1]];
      const compute = start(...given, ...ports, '-b', join(postgres.bindir, 'postgres'));
      try {
        await compute.until(
          'running',
          async () => (await it.http('GET', '/status')).json()['status'] === 'running',
        );
        expect((await it.http('GET', '/readyz')).status).toBe(200);
        expect(await compute.stop()).toBe(0);
      } finally {
        compute.child.kill('SIGKILL');
        await it.stop();
      }
    });
  },
);
