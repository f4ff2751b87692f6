import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startedWith } from '../../../src/local/started.ts';
import { localSpec } from '../../../src/local/spec.ts';
import { createState, localDir } from '../../../src/local/state.ts';
import { usesTls } from '../../../src/postgres/conf.ts';
import { parseControlPlane } from '../../../src/spec/parse.ts';
import { resolveSpec, setting } from '../../../src/spec/resolve.ts';

const ports = {
  postgres: 25_432,
  externalHttp: 2,
  internalHttp: 3,
  pageserver: 4,
  safekeeper: 5,
  controlPlane: 6,
};

test('compute_ctl accepts what the local control plane answers, without a remark', async () => {
  const path = mkdtempSync(join(tmpdir(), 'spec-'));
  try {
    const dir = localDir(path);
    const state = createState(dir, ports);
    const parsed = await parseControlPlane(JSON.stringify(localSpec(dir, { ...state, ports })));
    const { spec } = parsed.value;
    const resolved = resolveSpec(spec!);
    expect(resolved.mode).toEqual({ kind: 'primary' });
    expect(resolved.safekeepers).toEqual(['127.0.0.1:5']);
    expect(resolved.tenantId).toBe(state.tenantId);
    expect(spec!.storage_auth_token?.reveal()).toBe(state.storageToken);
    expect(setting(spec!, 'synchronous_standby_names')).toBe('compute_local');
    expect(setting(spec!, 'port')).toBe('25432');
  } finally {
    rmSync(path, { recursive: true });
  }
});

test('Postgres gets the certificate only where no front stands before it', async () => {
  const path = mkdtempSync(join(tmpdir(), 'spec-'));
  try {
    const dir = localDir(path);
    const options = {
      pgBinDir: null,
      compactAtBytes: 1,
      warnFree: null,
      stopFree: null,
      prepareAtMost: null,
    };
    const sleeps = { suspendAfter: 0, suspendHardAfter: 0, suspendIgnore: '' };
    const tls = { tlsCert: '/etc/tls/cert.pem', tlsKey: '/etc/tls/key.pem' };
    const state = {
      ...createState(dir, ports),
      ports,
      started: startedWith({ ...options, ...sleeps, ...tls }),
    };
    const parsed = async (front: boolean) =>
      (await parseControlPlane(JSON.stringify(localSpec(dir, { ...state, front })))).value;
    const { spec, compute_ctl_config: config } = await parsed(false);
    expect(usesTls(spec!, config.tls !== null)).toBe(true);
    expect(config.tls).toEqual({ cert_path: '/etc/tls/cert.pem', key_path: '/etc/tls/key.pem' });
    expect((await parsed(true)).compute_ctl_config.tls).toBeNull();
  } finally {
    rmSync(path, { recursive: true });
  }
});
