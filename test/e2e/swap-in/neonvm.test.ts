import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Agent, type FakeHierarchy, fakeHierarchy } from '../../support/agent.ts';
import { type Called, call, eternalToken, installCtl } from '../../support/callers.ts';
import { freePort } from '../../support/cluster.ts';
import { type Rig, killAllOf, processesIn, rig } from '../../support/compute.ts';
import { withControlPlane } from '../../support/control-plane.ts';
import { defaultPostgres, osUser } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';

const { bindir } = defaultPostgres();
const id = 'compute-long-flower-94034268';

let it: Rig;
let hierarchy: FakeHierarchy;
let bin: string;
let pgdata: string;
let vm: Called | null;

beforeEach(async () => {
  it = await rig();
  hierarchy = fakeHierarchy(4 * 1024 ** 3);
  bin = join(it.home, 'neonvm/bin');
  mkdirSync(bin, { recursive: true });
  chmodSync(bin, 0o777);
  // What a VM has, and this machine has not.
  script('cgexec', `echo "$2" >> ${bin}/groups; shift 2; exec "$@"`);
  script('sudo', `echo "$@" >> ${bin}/sudo.calls; exec "$@"`);
  script('resize-swap', 'true');
  script('set-disk-quota', 'true');
  mkdirSync(join(it.home, 'compute'));
  if (osUser !== null) chownSync(join(it.home, 'compute'), osUser.uid, osUser.gid);
  pgdata = join(it.home, 'compute/pgdata');
  vm = null;
});
afterEach(async () => {
  vm?.child.kill('SIGKILL');
  killAllOf(it.home);
  await it.stop();
  hierarchy.remove();
});

function script(name: string, text: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(bin, name), 0o755);
}

/** The script that init starts again and again: variables of the image and of the VM, then the program with its arguments, in a lock. */
function startVm(controlPlane: string, monitorPort: number, more: string): Called {
  const starter = join(bin, 'vmstarter.sh');
  const exports = {
    PATH: `${bin}:${bindir}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    LANG: 'en_US.utf8',
    AUTOSCALING: 'true',
    NEON_CONTROL_PLANE_TOKEN: 'a.b.c',
    OTEL_SDK_DISABLED: 'true',
    // Its places in a VM are the defaults.
    COMPUTE_CTL_CGROUP_ROOT: hierarchy.root,
    COMPUTE_CTL_VM_TOOLS_DIR: bin,
    COMPUTE_CTL_SUDO: join(bin, 'sudo'),
  };
  const lines = Object.entries(exports).map(([name, value]) => `export ${name}=${value}`);
  const args =
    `'-D' '${pgdata}' '-b' '${join(bindir, 'postgres')}' ` +
    `'-C' 'postgresql://cloud_admin@127.0.0.1:${it.port}/postgres?options=-c%20default_transaction_read_only=false' ` +
    `'--compute-id' '${id}' '--control-plane-uri' '${controlPlane}' ` +
    `'--external-http-port' '${it.httpPort}' '--vm-monitor-addr' '127.0.0.1:${monitorPort}' ` +
    `'--filecache-connstr' 'host=127.0.0.1 port=${it.port} dbname=postgres user=cloud_admin sslmode=disable application_name=vm-monitor' ${more}`;
  writeFileSync(starter, `${lines.join('\n')}\n'${installCtl(join(it.home, 'bin'))}' ${args}`);
  chmodSync(starter, 0o755);
  const locked = `flock -o ${join(it.home, 'run/vmstart.lock')} -c 'sh ${starter}'`;
  vm = call(['sh', '-c', locked], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
  return vm;
}

const status = async (): Promise<string> => {
  const token = await eternalToken(it, { compute_id: id, scope: null, aud: null });
  const answer = await fetch(`http://127.0.0.1:${it.httpPort}/status`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return ((await answer.json()) as { status: string }).status;
};

const reached = (wanted: string, started: Called): Promise<true> =>
  eventually(`the status ${wanted}`, async () => {
    if (started.child.exitCode !== null) throw new Error(started.stderr());
    return (await status()) === wanted || undefined;
  }).catch((error: unknown) => Promise.reject(new Error(started.stderr(), { cause: error })));

/** The hook of the image, again and again until the lock is free. */
async function shutDown(started: Called): Promise<void> {
  const stop = [join(bindir, 'pg_ctl'), 'stop', '-D', pgdata, '-m', 'fast', '--wait', '-t', '10'];
  execFileSync(stop[0] as string, stop.slice(1), { ...osUser, stdio: 'pipe' });
  await started.exited(20_000);
}

const read = (name: string): string =>
  existsSync(join(bin, name)) ? readFileSync(join(bin, name), 'utf8') : '';

test('in a VM it is started by init with its lock, is in the group, answers the agent, and ends after the shutdown hook', async () => {
  const monitorPort = await freePort();
  const spec = it.spec({ swap_size_bytes: 1_073_741_824, disk_quota_bytes: 5_368_709_120 });
  await withControlPlane(
    () => it.config(spec),
    async ({ uri, asked }) => {
      const started = startVm(
        uri,
        monitorPort,
        "'--resize-swap-on-bind' '--set-disk-quota-for-fs' '/neonvm/tools'",
      );
      await reached('running', started);
      expect(asked[0]).toBe('Bearer a.b.c');
      expect(read('groups')).toContain('memory:neon-postgres\n');
      expect(read('sudo.calls')).toContain(`${bin}/resize-swap --once 1073741824\n`);
      expect(read('sudo.calls')).toContain(`${bin}/set-disk-quota 5242880 /neonvm/tools\n`);
      const agent = await eventually('the vm-monitor', () => Agent.connect(monitorPort));
      await agent.close();
      await shutDown(started);
      expect(processesIn(pgdata)).toEqual([]);
    },
  );
});

test('a VM of a pool waits empty, and is configured later', async () => {
  await withControlPlane(
    () => ({ ...it.config(null), status: 'empty' }),
    async ({ uri }) => {
      const started = startVm(uri, await freePort(), `'--remote-ext-base-url' 'http://pg-ext-s3-gateway/'`);
      await reached('empty', started);
      const token = await eternalToken(it, { compute_id: id, scope: null, aud: null });
      const answer = await fetch(`http://127.0.0.1:${it.httpPort}/configure`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(it.config(it.spec())),
      });
      expect([answer.status, await answer.json()]).toMatchObject([200, { status: 'running' }]);
      await shutDown(started);
    },
  );
});
