import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageConfig, path } from './config.ts';

export interface Image {
  /** Its root file system. */
  readonly root: string;
  readonly config: ImageConfig;
}

/** What the files below need of this machine and does not have; empty: nothing. */
export function missingForImages(): string[] {
  if (process.getuid?.() !== 0) return ['root'];
  const programs = ['mmdebstrap', 'unshare', 'nsenter', 'setpriv', 'ip'].filter(
    (name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
  );
  const unshare = ['--mount', '--pid', '--net', '--fork', '--mount-proc', 'true'];
  return spawnSync('unshare', unshare).status === 0 ? programs : [...programs, 'namespaces'];
}

/** Of an image of Debian. */
export const plainConfig: ImageConfig = {
  env: { PATH: path },
  user: '',
  workdir: '/',
  shell: ['/bin/sh', '-c'],
  labels: {},
  volumes: [],
  ports: [],
  entrypoint: [],
  cmd: ['bash'],
  stopSignal: 'SIGTERM',
  healthcheck: null,
};

/** As in the slim images of Debian. */
const without = ['man', 'doc', 'info', 'locale', 'lintian', 'linda', 'groff'].map(
  (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
);

/** Makes the root file system of the slim image of a Debian, from Debian's packages.
 *  @param suite such as `trixie` */
export function makeDebian(root: string, suite: string): Image {
  const options = ['--quiet', '--variant=minbase', ...without];
  execFileSync(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'mmdebstrap', ...options, suite, root],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  // As Docker's images of Debian have it: no package starts a service, apt keeps nothing.
  const policy = join(root, 'usr/sbin/policy-rc.d');
  writeFileSync(policy, '#!/bin/sh\nexit 101\n');
  chmodSync(policy, 0o755);
  appendFileSync(join(root, 'etc/dpkg/dpkg.cfg.d/speed'), 'force-unsafe-io\n');
  appendFileSync(
    join(root, 'etc/apt/apt.conf.d/clean'),
    'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\nDPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n',
  );
  return { root, config: plainConfig };
}
