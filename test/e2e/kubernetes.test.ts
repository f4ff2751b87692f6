import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { commandLines } from '../../src/config/options/programs.ts';
import { externalRoutes } from '../../src/http/routes/external.ts';
import { parseArgs } from '../../src/cli/args.ts';
import { type Manifest, filesOf, manifests, manifestsDir, podOf } from '../support/manifests.ts';
import { startProgram } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';
import { strictly } from '../support/strict-types.ts';

const all = manifests();
const objects = all.filter(({ kind }) => kind !== 'Kustomization');
const named = (kind: string, name: string): Manifest => {
  const found = all.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
};
const modules = fileURLToPath(new URL('../manifests/node_modules', import.meta.url));

/** The module of the schema's package for an object. */
const moduleOf = (apiVersion: string): string =>
  apiVersion.startsWith('monitoring.coreos.com/')
    ? `@kubernetes-models/prometheus-operator/${apiVersion}`
    : `kubernetes-models/${apiVersion}`;

test.each(objects)('$kind $metadata.name is valid by its schema', async (object) => {
  const module = (await import(
    pathToFileURL(join(modules, moduleOf(object.apiVersion), 'index.js')).href
  )) as Record<string, new (value: unknown) => { validate(): void }>;
  const kind = module[object.kind] as (typeof module)[string];
  new kind(object).validate();
  expect(() => new kind({ ...object, metadata: { name: 1 } }).validate()).toThrow('name');
});

test('no object has a member that Kubernetes does not know', () => {
  const typed = objects.map((value) => ({
    type: `I${value.kind}`,
    from: moduleOf(value.apiVersion),
    value: value as unknown,
  }));
  strictly(typed);
  const wrong = structuredClone(typed[0]) as (typeof typed)[0] & { value: { metadata: object } };
  Object.assign(wrong.value.metadata, { nmae: 'x' });
  expect(() => strictly([wrong])).toThrow('nmae');
}, 180_000);

test('what a kustomization lists is there, and its images are those of the pods', () => {
  for (const one of all.filter(({ kind }) => kind === 'Kustomization')) {
    const from = join(manifestsDir, dirname(filesOf.get(one) ?? ''));
    for (const resource of one['resources'] as string[])
      expect(normalize(join(from, resource))).toSatisfy(existsSync);
    for (const { name } of (one['images'] ?? []) as { name: string }[])
      expect(podOf(named('StatefulSet', name)).containers[0].image).toMatch(new RegExp(`^${name}:`));
  }
});

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

describe.each(['compute-ctl', 'compute-local'])('the pod of %s', (name) => {
  const pod = podOf(named('StatefulSet', name));
  const [container] = pod.containers;
  const ports = new Map(container.ports.map((port) => [port.name, port.containerPort]));

  test('may do little, and writes only into its volumes', () => {
    expect(container.image).toBe(`${name}:${version}`);
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 999,
      fsGroup: 999,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const shm = pod.volumes.find((volume) => volume.name === 'shm');
    expect(shm?.emptyDir?.medium).toBe('Memory');
    expect(container.volumeMounts).toContainEqual({ name: 'shm', mountPath: '/dev/shm' });
  });

  test('has probes on routes without a token, on the port of the external server', () => {
    const probes = {
      '/startupz': container.startupProbe,
      '/livez': container.livenessProbe,
      '/readyz': container.readinessProbe,
    };
    for (const [path, probe] of Object.entries(probes)) {
      expect(probe.httpGet.path).toBe(path);
      expect(externalRoutes.find((route) => route.path === path)).toMatchObject({
        method: 'GET',
        auth: 'none',
      });
      expect(ports.get(probe.httpGet.port)).toBe(3080);
      expect(probe.timeoutSeconds).toBeLessThanOrEqual(5);
    }
    // The longest that one step of a start may take in silence.
    const { periodSeconds, failureThreshold } = container.startupProbe;
    expect(periodSeconds * failureThreshold).toBeGreaterThan(
      defaultOf('--basebackup-idle-timeout') + defaultOf('--start-timeout'),
    );
  });

  test('may take as long to stop as the program', () => {
    const given = container.args.find((arg) => arg.startsWith('--stop-timeout='))?.split('=')[1];
    const stop = Number(given ?? defaultOf('--stop-timeout'));
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(stop + defaultOf('--sync-timeout') + 30);
  });

  test('the Service leads to its ports, and no policy opens the internal one', () => {
    const { ports: served } = named('Service', name).spec as {
      ports: { port: number; targetPort: string }[];
    };
    for (const { port, targetPort } of served) expect(ports.get(targetPort)).toBe(port);
    const internal = defaultOf('--internal-http-port');
    const { ingress } = named('NetworkPolicy', 'compute').spec as {
      ingress: { ports: { port: number }[] }[];
    };
    const open = ingress.flatMap((rule) => rule.ports.map(({ port }) => port));
    expect(open.toSorted((a, b) => a - b)).toEqual([defaultOf('--external-http-port'), 5432]);
    expect(open).not.toContain(internal);
    expect([...ports.values()]).not.toContain(internal);
  });
});

const table = (call: string) => {
  const [, entry] = commandLines.find(([name]) => name === call) ?? [];
  return Object.values(entry?.options ?? {});
};
const defaultOf = (flag: string): number =>
  Number(table('compute_ctl').find((one) => one.flag === flag)?.fallback);

test('the arguments are those of the programs', () => {
  const [ctl] = podOf(named('StatefulSet', 'compute-ctl')).containers;
  expect(ctl.command).toEqual(['/usr/local/bin/compute_ctl']);
  expect(parseArgs(ctl.args, {})).toMatchObject({ options: { stopTimeoutSeconds: 90 }, notes: [] });
  const [local] = podOf(named('StatefulSet', 'compute-local')).containers;
  const [command, ...flags] = local.args;
  expect(command).toBe('up');
  const known = table('compute-local up').map(({ flag }) => flag as string);
  expect(flags.map((flag) => flag.split('=')[0]).filter((flag) => !known.includes(flag ?? ''))).toEqual([]);
});

test('the Secret and the ConfigMap are a config that compute_ctl accepts', async () => {
  const dir = scratchDir('kubernetes');
  const files = {
    ...(named('Secret', 'compute-config')['stringData'] as object),
    ...(named('ConfigMap', 'compute-jwks')['data'] as object),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text as string);
  const [{ args }] = podOf(named('StatefulSet', 'compute-ctl')).containers;
  const there = args
    .filter((arg) => !arg.startsWith('--pgbin='))
    .map((arg) =>
      arg
        .replace('/etc/compute_ctl', dir)
        .replace('/var/lib/compute_ctl', dir)
        .replace('$(COMPUTE_ID)', 'compute-1'),
    );
  const program = startProgram('compute_ctl', ['check', ...there]);
  const code = await program.exited();
  if (code !== 0 && code !== 3) throw new Error(program.output());
});
