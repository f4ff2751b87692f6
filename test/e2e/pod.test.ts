import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { freePort } from '../support/cluster.ts';
import { processesIn, signalAll } from '../support/compute.ts';
import { type Container, type Probe, manifests, podOf } from '../support/manifests.ts';
import { eventually, startProgram } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';

// The pod of compute-local without a kubelet: the same arguments, user, read-only root and volumes, and the same probes.

const mayMount =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['-m', 'setpriv', '--no-new-privs', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status ===
    0;

const pod = podOf(
  manifests().find(
    ({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'compute-local',
  ) as never,
);
const [container] = pod.containers;

/** One probe, as the kubelet sends it. */
async function probe({ httpGet, timeoutSeconds }: Probe, port: number): Promise<number> {
  const signal = AbortSignal.timeout(timeoutSeconds * 1000);
  const answer = await fetch(`http://127.0.0.1:${port}${httpGet.path}`, { signal, redirect: 'manual' });
  await answer.text();
  return answer.status;
}
const until = (which: Probe, port: number, status: number) =>
  eventually(`${which.httpGet.path} is ${status}`, async () =>
    (await probe(which, port)) === status ? true : undefined,
  );

/** The programs are here, and not in an image: a volume may lie over them. */
const checkout = fileURLToPath(new URL('../..', import.meta.url));
const isHidden = ({ volumeMounts }: Container): boolean =>
  volumeMounts.some(({ mountPath }) => checkout.startsWith(`${mountPath}/`));

/** Becomes the container: an own mount namespace, the root read-only, a volume at each mount, the user, no capabilities. */
function asContainer(given: Container, user: number, passwd: string): string {
  const { volumeMounts } = given;
  const volumes = volumeMounts.map(
    ({ mountPath }) => `mount -t tmpfs -o mode=2770,uid=0,gid=${user} none ${mountPath}`,
  );
  // Some are not there on this machine, which stays as it is.
  const places = volumeMounts.map(
    ({ mountPath }) =>
      `[ -d ${mountPath} ] || { mount -t tmpfs none ${dirname(mountPath)}; mkdir ${mountPath}; }`,
  );
  // Resolved, the name of the descriptor would be that of what lies over it.
  const shown = [
    `mkdir -p ${checkout}`,
    `mount --no-canonicalize --bind /proc/self/fd/9 ${checkout}`,
    `cd ${checkout}`,
  ];
  const lines = [
    'set -e',
    `exec 9< ${checkout}`,
    ...places,
    `mount --bind ${passwd} /etc/passwd`,
    'mount -o remount,bind,ro /',
    ...volumes,
    ...(isHidden(given) ? shown : []),
    'exec 9<&-',
    `exec setpriv --reuid ${user} --regid ${user} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`,
  ];
  return `[ -n "$INSIDE" ] || INSIDE=1 exec unshare -m bash -c '${lines.join('\n')}' - "$@"`;
}

test.skipIf(!mayMount)(
  'the pod of compute-local starts, is ready, tells that Postgres hangs without being restarted, and stops in its time',
  async () => {
    const user = pod.securityContext.runAsUser;
    const dir = scratchDir('pod');
    const passwd = join(dir, 'passwd');
    writeFileSync(passwd, `pod:x:${user}:${user}::/tmp:/bin/sh\n${readFileSync('/etc/passwd', 'utf8')}`);
    const [port, http] = [await freePort(), await freePort()];
    const args = container.args.map((arg) =>
      arg.replace('--port=5432', `--port=${port}`).replace('--http-port=3080', `--http-port=${http}`),
    );
    const { startupProbe, livenessProbe, readinessProbe } = container;
    const program = startProgram('compute-local', args, {}, 'pipe', asContainer(container, user, passwd));
    // Only those of this namespace: another run may have the same directory.
    const namespace = (pid: number): string | null => {
      try {
        return readlinkSync(`/proc/${pid}/ns/mnt`);
      } catch {
        return null; // it has ended meanwhile
      }
    };
    let own: string | null = '';
    const where = (): number[] =>
      processesIn('/var/lib/compute-local/data/pgdata').filter((pid) => namespace(pid) === own);
    try {
      await until(startupProbe, http, 200).catch((error: unknown) => {
        throw new Error(program.output(), { cause: error });
      });
      own = namespace(program.pid);
      expect(await probe(livenessProbe, http)).toBe(200);
      await until(readinessProbe, http, 200);
      const status = readFileSync(`/proc/${program.pid}/status`, 'utf8');
      expect(status).toMatch(new RegExp(`^Uid:\\t${user}\\t${user}\\t${user}\\t${user}$`, 'm'));
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect(
        spawnSync('nsenter', ['-t', String(program.pid), '-m', 'touch', '/etc/written']).status,
      ).not.toBe(0);
      const postgres = where();
      expect(postgres.length).toBeGreaterThan(2);
      signalAll(postgres, 'SIGSTOP');
      try {
        await until(readinessProbe, http, 503);
        expect(await probe(livenessProbe, http)).toBe(200);
      } finally {
        signalAll(postgres, 'SIGCONT');
      }
      await until(readinessProbe, http, 200);
      program.kill('SIGTERM');
      expect(await program.exited(pod.terminationGracePeriodSeconds * 1000)).toBe(0);
    } finally {
      program.kill('SIGKILL');
      await program.exited();
      signalAll(where(), 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
