import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseArgs } from '../../../src/cli/args.ts';
import { renderCheck } from '../../../src/cli/check-report.ts';
import { type LoadedConfig, loadConfig } from '../../../src/config/load.ts';
import type { Options } from '../../../src/config/options.ts';
import { causeChain, inline } from '../../../src/core/errors.ts';
import { createLog } from '../../../src/core/log.ts';
import { fullConfig, leastSpec } from '../spec/example.ts';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'compute-ctl-load-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function file(name: string, content: unknown): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function optionsOf(...args: string[]): Options {
  const parsed = parseArgs(['-D', 'd', '-C', 'postgresql://h', ...args], {});
  if (parsed.command !== 'run') throw new Error(`read as ${parsed.command}`);
  return parsed.options;
}

const load = (...args: string[]): Promise<LoadedConfig> =>
  loadConfig(optionsOf(...args), {
    signal: new AbortController().signal,
    log: createLog({ format: 'json', level: 'silent' }),
    onControlPlaneAttempt: () => {},
    env: {},
  });

const failure = (...args: string[]): Promise<unknown> =>
  load(...args).then(
    () => null,
    (error: unknown) => error,
  );

const key = { kty: 'OKP', crv: 'Ed25519', x: 'AAAA', kid: 'mine', d: 'private-part' };

describe('the sources', () => {
  test('a config file', async () => {
    const loaded = await load('-i', 'ep', '-c', await file('config.json', fullConfig()));
    expect(loaded).toMatchObject({ source: 'file', liveConfigAllowed: true });
    expect(loaded.spec?.tenantId).toBe('3aa8fcc61f6d357410b7de754b1d9001');
    expect(loaded.config.jwks.keys).toHaveLength(1);
    expect(loaded.notes).toEqual(['unknown feature "flag_of_tomorrow" is ignored']);
  });

  test('a config file without a spec', async () => {
    const { compute_ctl_config } = fullConfig();
    const loaded = await load('-i', 'ep', '-c', await file('empty.json', { compute_ctl_config }));
    expect(loaded).toMatchObject({ spec: null, source: 'file', liveConfigAllowed: true });
  });

  test('a bare spec in a file', async () => {
    const loaded = await load('-S', await file('spec.json', leastSpec()));
    expect(loaded).toMatchObject({
      source: 'legacy-path',
      liveConfigAllowed: true,
      config: { jwks: { keys: [] }, tls: null },
    });
  });

  test('a bare spec as text, which beats the file and fixes the spec', async () => {
    const loaded = await load('-S', '/nowhere', '-s', JSON.stringify(leastSpec()));
    expect(loaded).toMatchObject({ source: 'legacy-spec', liveConfigAllowed: false });
  });

  test('none', async () => {
    expect(await load()).toMatchObject({ spec: null, source: 'none', liveConfigAllowed: true, notes: [] });
  });

  test('the control plane, anew at each call', async () => {
    let asked = 0;
    const server = createServer((_, response) => {
      asked++;
      response.end(JSON.stringify({ ...fullConfig(), status: 'attached' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const args = ['-i', 'ep', '-p', `http://127.0.0.1:${(server.address() as AddressInfo).port}`];
      expect(await load(...args)).toMatchObject({ source: 'control-plane', liveConfigAllowed: true });
      expect((await load(...args)).spec?.safekeepers).toHaveLength(3);
      expect(asked).toBe(2);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe('keys of their own file', () => {
  test('serve a compute whose source brings none', async () => {
    const keys = await file('keys.json', { keys: [key] });
    expect((await load('--jwks', keys)).config.jwks.keys).toEqual([key]);
  });

  test('yield to those of the config, with a note', async () => {
    const keys = await file('keys.json', { keys: [key] });
    const loaded = await load('-i', 'ep', '-c', await file('config.json', fullConfig()), '--jwks', keys);
    expect(loaded.config.jwks.keys).not.toContainEqual(key);
    expect(loaded.notes.at(-1)).toContain('is ignored: the config has keys of its own');
  });
});

describe('a failure names the file and the reason', () => {
  test('that is missing', async () => {
    const error = await failure('-i', 'ep', '-c', '/nowhere/config.json');
    expect(error).toMatchObject({
      code: 'config_unreadable',
      message: 'could not read config file /nowhere/config.json',
    });
    expect(inline(error)).toContain('ENOENT');
  });

  test('that is not JSON', async () => {
    const path = await file('broken.json', '{"spec":');
    const error = await failure('-S', path);
    expect(error).toMatchObject({ code: 'config_unreadable' });
    expect(causeChain(error)).toEqual([
      `spec file ${path} cannot be used`,
      expect.stringContaining('line 1, column 9'),
    ]);
  });

  test('of the wrong shape', async () => {
    const error = await failure('--jwks', await file('nokeys.json', {}));
    expect(error).toMatchObject({ code: 'spec_shape' });
    expect(causeChain(error)[1]).toBe('keys: missing, expected array');
  });

  test('that lacks a value', async () => {
    const spec = { ...leastSpec(), cluster: { roles: [], databases: [] } };
    const error = await failure('-s', JSON.stringify(spec));
    expect(error).toMatchObject({ code: 'spec_invalid', message: 'spec of --spec cannot be used' });
    expect(causeChain(error)[1]).toContain('pageserver connection information should be provided');
  });

  test('that is a bare spec: the hint names the option for it', async () => {
    const error = await failure('-i', 'ep', '-c', await file('bare.json', leastSpec()));
    expect(error).toMatchObject({ code: 'spec_shape' });
    expect((error as Error).cause).toMatchObject({ hint: expect.stringContaining('-S (--spec-path)') });
  });
});

describe('check prints', () => {
  const sound = { verdict: 'valid', errors: [], warnings: [], unchecked: [] } as const;
  const secrets =
    /storage-token|endpoint-token|token-in-settings|SCRAM|pw-in-url|private-part|in-conf|in-setting|in-option|in-bouncer/;

  test.each([true, false])('everything but secrets (as JSON: %s)', async (json) => {
    const config = fullConfig();
    const cluster = {
      ...config.spec.cluster,
      postgresql_conf: "primary_conninfo = 'host=h password=in-conf'",
      roles: [{ name: 'r', options: [{ name: 'PASSWORD', value: 'in-option', vartype: 'string' }] }],
      settings: [
        ...config.spec.cluster.settings,
        { name: 'primary_conninfo', value: 'host=h passwd in-setting', vartype: 'string' },
        { name: 'shared_preload_libraries', value: 'neon,auto_explain', vartype: 'string' },
      ],
    };
    const content = {
      compute_ctl_config: { jwks: { keys: [key] } },
      spec: { ...config.spec, cluster, pgbouncer_settings: { auth_query: 'in-bouncer' } },
    };
    const args = ['-i', 'ep', '-c', await file('secret.json', content)];
    const text = renderCheck(await load(...args), optionsOf(...args), sound, json);
    expect(text).not.toMatch(secrets);
    expect(text).toContain('3aa8fcc61f6d357410b7de754b1d9001');
    expect(text).toContain('user=u host=ps1 port=6400');
    expect(text).toContain('neon,auto_explain');
    expect(text).toMatch(/max_connections[^]{1,40}100/);
    expect(text).toContain('flag_of_tomorrow');
    expect(text).toContain('mine');
  });

  test('JSON that programs can read', async () => {
    const args = ['-s', JSON.stringify({ ...leastSpec(), mode: { Static: '1/A' } })];
    const printed: unknown = JSON.parse(renderCheck(await load(...args), optionsOf(...args), sound, true));
    expect(printed).toMatchObject({
      source: 'legacy-spec',
      resolved: {
        mode: 'static',
        static_lsn: '1/A',
        safekeepers: [],
        pageserver: { shards: { 0: [{ libpqUrl: 'host=ps port=6400' }] } },
      },
      spec: { mode: { Static: '1/A' }, features: [] },
    });
  });

  test('an empty compute', async () => {
    expect(renderCheck(await load(), optionsOf(), sound, false)).toMatch(
      /spec +none: the compute starts empty/,
    );
  });
});
