// Brings a fresh machine with Node 20 or newer to where `npm start` and `npm test` can run. Quick when nothing is missing.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages } from './packages.mjs';
import { die, root, run } from './run.mjs';
import { runtime } from './runtime.mjs';
import { withoutServices } from './without-services.mjs';

const forTests = process.argv.includes('--test');

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  die(`Node 20.19 or newer is needed, this is ${process.version}.`);

must(installPackages(root), 'npm ci failed.');
// Everything else runs on it.
const node = runtime();
if (forTests) {
  const packages = ['servers', 'runtimes', 'manifests', 'package-checks'].map((dir) => `test/${dir}`);
  for (const dir of [...packages, 'scripts/client-types'])
    must(installPackages(join(root, dir)), 'npm ci failed.');
}
installPostgres();
if (forTests) {
  installPrograms();
  unpackPrometheus();
}
if (!forTests && stale('dist/compute-local.js', 'src'))
  must(run(node, ['scripts/build.mjs']), 'The build failed.');

function must(done, otherwise) {
  if (!done) die(otherwise);
}

function installPostgres() {
  if (hasPostgres()) return;
  const how = 'PostgreSQL 14 or newer with its client tools is needed (Debian: apt-get install postgresql).';
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) die(how);
  console.log('Installing PostgreSQL with apt-get ...');
  // Debian's package would also make and start a server of its own, which nobody here asked for.
  const policy = '/etc/postgresql-common/createcluster.conf';
  must(apt('update'), how);
  apt('install', '--no-install-recommends', 'postgresql-common');
  if (existsSync(policy)) {
    const text = readFileSync(policy, 'utf8');
    if (!/^create_main_cluster\s*=/m.test(text))
      writeFileSync(policy, `${text}create_main_cluster = false\n`);
  }
  apt('install', '--no-install-recommends', 'postgresql', 'postgresql-client');
  if (!hasPostgres()) die(how);
}

function apt(...args) {
  return run('apt-get', ['-qq', '-y', '-o', 'Dpkg::Use-Pty=0', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Real parts that single tests need. A test whose program is missing is skipped. */
function installPrograms() {
  const shells = { zsh: 'zsh', fish: 'fish', mandoc: 'mandoc', shellcheck: 'shellcheck' };
  const containers = { tini: 'tini', catatonit: 'catatonit', mmdebstrap: 'mmdebstrap', ip: 'iproute2' };
  const packages = {
    'systemd-notify': 'systemd',
    python3: 'python3',
    'docker-compose': 'docker-compose',
    ...shells,
    ...containers,
    pgbouncer: 'pgbouncer',
  };
  // Debian has servers where ordinary users do not look.
  const path = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'];
  const missing = Object.entries(packages).filter(
    ([name]) => !path.some((dir) => existsSync(join(dir, name))),
  );
  if (missing.length === 0 || process.getuid?.() !== 0) return;
  console.log(`Installing ${missing.map(([name]) => name).join(', ')} with apt-get ...`);
  apt('update');
  withoutServices(() => apt('install', '--no-install-recommends', ...missing.map(([, name]) => name)));
  // Nor at the next boot.
  if (missing.some(([name]) => name === 'pgbouncer'))
    spawnSync('systemctl', ['disable', '--quiet', 'pgbouncer.service'], { stdio: 'ignore' });
}

/** promtool and Prometheus, for the alerts' tests: unpacked, since installing the package starts a server. Without them those tests
 *  are skipped. */
function unpackPrometheus() {
  const names = ['promtool', 'prometheus'];
  const cache = join(root, 'node_modules/.cache/prometheus');
  if (names.every((name) => existsSync(join(cache, name)))) return;
  if (spawnSync('apt-get', ['--version']).status !== 0) return;
  console.log('Unpacking Prometheus from Debian ...');
  const work = mkdtempSync(join(tmpdir(), 'prometheus-'));
  try {
    const download = () => run('apt-get', ['-qq', 'download', 'prometheus'], { cwd: work });
    if (!download() && process.getuid?.() === 0) {
      apt('update');
      download();
    }
    const file = readdirSync(work).find((name) => name.endsWith('.deb'));
    if (file === undefined || !run('dpkg-deb', ['-x', join(work, file), join(work, 'root')])) return;
    mkdirSync(cache, { recursive: true });
    for (const name of names) copyFileSync(join(work, 'root/usr/bin', name), join(cache, name));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function hasPostgres() {
  const complete = (dir) =>
    ['postgres', 'pg_receivewal', 'psql'].every((name) => existsSync(join(dir, name)));
  const debian = '/usr/lib/postgresql';
  const dirs = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : [];
  return [...dirs, ...(process.env.PATH ?? '').split(':')].some(complete);
}

/** True when the built file is missing or anything it is made of is newer. */
function stale(built, source) {
  const path = join(root, built);
  if (!existsSync(path)) return true;
  const newest = (dir) =>
    Math.max(
      ...readdirSync(dir, { withFileTypes: true }).map((entry) =>
        entry.isDirectory() ? newest(join(dir, entry.name)) : statSync(join(dir, entry.name)).mtimeMs,
      ),
    );
  const locks = ['package-lock.json', 'scripts/runtime/package-lock.json'];
  const times = locks.map((lock) => statSync(join(root, lock)).mtimeMs);
  return Math.max(newest(join(root, source)), ...times) > statSync(path).mtimeMs;
}
