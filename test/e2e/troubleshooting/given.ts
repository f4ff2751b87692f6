import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { port } from './stable.ts';
import { isRoot, settingsOf } from './parts.ts';
import type { Mistake } from './mistake.ts';
import type { Scene } from './scene.ts';

const check = (scene: Scene, file: string, ...more: string[]): Promise<string> =>
  scene.run('compute_ctl', ['check', '-c', file, '-i', 'compute-1', ...more]);

/** A control plane with one answer to everything. */
async function askedAt(scene: Scene, status: number, body: string): Promise<string> {
  const server = createServer((_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const number = (server.address() as AddressInfo).port;
  scene.show(port(number, 8080));
  try {
    return await pulled(scene, number);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const pulled = (
  scene: Scene,
  number: number,
  env: NodeJS.ProcessEnv = { NEON_CONTROL_PLANE_TOKEN: 'secret' },
) => scene.run('compute_ctl', ['check', '-p', `http://127.0.0.1:${number}`, '-i', 'compute-1'], '', env);

/** Files, specs, keys and the control plane. */
export const given: readonly Mistake[] = [
  {
    code: 'config_unreadable',
    title: 'The config file does not exist',
    provoke: (scene) => check(scene, scene.file('config.json')),
  },
  {
    code: 'config_unreadable',
    title: 'The config file is a directory',
    provoke: (scene) => {
      mkdirSync(scene.file('config.json'));
      return check(scene, scene.file('config.json'));
    },
  },
  {
    code: 'config_unreadable',
    title: 'The OS user may not read the config file',
    given: 'The file belongs to root and has mode 0600; compute_ctl gives up root before it reads anything.',
    possible: isRoot,
    async provoke(scene) {
      const it = await scene.compute();
      return scene.run('compute_ctl', [
        'check',
        '-c',
        scene.secretFile('config.json', it.config(it.spec())),
        '-i',
        'compute-1',
      ]);
    },
  },
  {
    code: 'config_unreadable',
    title: 'The config file is not JSON',
    provoke: (scene) =>
      check(scene, scene.file('config.json', '{\n  "spec": {\n    "format_version": 1,\n  }\n')),
  },
  {
    code: 'config_unreadable',
    title: 'The file of --jwks does not exist',
    async provoke(scene) {
      const it = await scene.compute();
      const spec = scene.json('spec.json', it.spec());
      return scene.run('compute_ctl', ['check', '-S', spec, '--jwks', scene.file('keys.json')]);
    },
  },
  {
    code: 'spec_shape',
    title: 'A bare spec is given as a config',
    async provoke(scene) {
      const it = await scene.compute();
      return check(scene, scene.json('spec.json', it.spec()));
    },
  },
  {
    code: 'spec_shape',
    title: 'A config is given as a bare spec',
    async provoke(scene) {
      const it = await scene.compute();
      const file = scene.json('config.json', it.config(it.spec()));
      return scene.run('compute_ctl', ['check', '-S', file]);
    },
  },
  {
    code: 'spec_shape',
    title: 'Fields are missing or have wrong types',
    async provoke(scene) {
      const it = await scene.compute();
      const { format_version: _, ...spec } = it.spec({
        tenant_id: 'acme',
        cluster: {
          roles: [{ name: 5 }],
          databases: {},
          settings: [{ name: 'work_mem', value: 4, vartype: 'string' }],
        },
      });
      return check(scene, scene.json('config.json', it.config(spec)));
    },
  },
  {
    code: 'spec_shape',
    title: 'The key set has no keys member',
    async provoke(scene) {
      const it = await scene.compute();
      const config = {
        spec: it.spec(),
        compute_ctl_config: { jwks: { kty: 'OKP', crv: 'Ed25519', x: '…' } },
      };
      return check(scene, scene.json('config.json', config));
    },
  },
  {
    code: 'spec_invalid',
    title: 'The spec has no tenant',
    async provoke(scene) {
      const it = await scene.compute();
      return check(scene, scene.json('config.json', it.config(it.spec({ tenant_id: null }))));
    },
  },
  {
    code: null,
    title: 'check finds settings that PostgreSQL would not take',
    async provoke(scene) {
      const it = await scene.compute();
      const spec = it.spec();
      settingsOf(spec).push(
        { name: 'work_memm', value: '4MB', vartype: 'string' },
        { name: 'max_connections', value: 'many', vartype: 'string' },
      );
      const said = await check(scene, scene.json('config.json', it.config(spec)), '-b', scene.pgbin());
      return said.replace(/^source[^]*^(?=invalid)/m, '…\n');
    },
  },
  {
    code: 'connstr',
    title: 'The connection string of --connstr is not one',
    provoke: (scene) =>
      scene.run('compute_ctl', ['-D', '/srv/pgdata', '-C', 'localhost:5432', '-i', 'compute-1']),
  },
  {
    code: 'connstr',
    title: 'The connection string of vm-monitor is not one',
    provoke: (scene) => scene.run('vm-monitor', ['--addr', '127.0.0.1:0', '--pgconnstr', 'localhost:5432']),
  },
  {
    code: 'control_plane',
    title: 'No control plane is at the address',
    provoke: (scene) => pulled(scene, 1),
  },
  {
    code: 'control_plane',
    title: 'The control plane does not know the compute',
    provoke: (scene) => askedAt(scene, 404, '{"error":"not found"}'),
  },
  {
    code: 'control_plane',
    title: 'The control plane refuses the token',
    provoke: (scene) => askedAt(scene, 401, ''),
  },
  {
    code: 'control_plane',
    title: 'The control plane has an error of its own',
    provoke: (scene) => askedAt(scene, 500, 'oops'),
  },
  {
    code: 'control_plane',
    title: 'The control plane is being restarted',
    provoke: (scene) => askedAt(scene, 503, ''),
  },
  {
    code: 'control_plane',
    title: 'Another server is at the address of the control plane',
    provoke: (scene) => askedAt(scene, 200, '<html>It works!</html>'),
  },
  {
    code: 'control_plane',
    title: 'The control plane has no spec for the compute',
    async provoke(scene) {
      const it = await scene.compute();
      return askedAt(scene, 200, JSON.stringify({ status: 'attached', ...it.config(null) }));
    },
  },
];
