import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { refuseWithoutEffect, withoutEffect } from '../../../../src/local/branches/in-force.ts';
import { asBefore } from '../../../../src/local/branches/start.ts';
import { type LocalState, localDir } from '../../../../src/local/state.ts';

const state = {
  ports: { postgres: 5000, externalHttp: 3080 },
  listenAll: true,
  keep: { seconds: 86_400, maxBytes: null },
  started: { ...asBefore, suspendAfter: 60 },
} as unknown as LocalState;

const flags = (...given: Parameters<typeof withoutEffect>): string[] =>
  withoutEffect(...given).map(({ flag }) => flag);

test('an option that a running compute does not have is found, where it was given', () => {
  const others = { ...asBefore, port: 6000, httpPort: 3080, suspendAfter: 300, keep: 86_400 };
  const given = ['dir', 'port', 'httpPort', 'suspendAfter', 'keep', 'ttl', 'newPorts'];
  expect(flags(state, others, given)).toEqual(['--port', '--suspend-after']);
  // The same as a default was given, and another one is in force.
  expect(flags(state, others, ['keep'])).toEqual([]);
  expect(flags(state, { ...others, listenAll: true }, ['listenAll'])).toEqual([]);
  // Paths are noted as absolute ones.
  const paths = { ...others, pgBinDir: 'bin', tlsCert: 'cert.pem', tlsKey: 'key.pem' };
  const same = { pgBinDir: resolve('bin'), tlsCert: resolve('cert.pem'), tlsKey: resolve('key.pem') };
  const at = ['pgBinDir', 'tlsCert', 'tlsKey'];
  expect(flags({ ...state, started: { ...asBefore, ...same } }, paths, at)).toEqual([]);
  expect(flags(state, paths, at)).toEqual(['--pg-bin-dir', '--tls-cert', '--tls-key']);
  const none = { ...state, listenAll: false, keep: null };
  expect(flags(none, { ...others, keep: 0 }, ['keep'])).toEqual([]);
  expect(flags(none, { ...others, listenAll: true }, ['listenAll'])).toEqual(['--listen-all']);
});

test('it is refused with the way to change it', () => {
  const refuse = (given: readonly string[]): void =>
    refuseWithoutEffect(
      localDir('/d'),
      { name: 'dev', state },
      { options: { ...asBefore, port: 6000 }, given, why: 'runs already,' },
    );
  expect(() => refuse(['dir'])).not.toThrow();
  expect(() => refuse(['port'])).toThrow(
    expect.objectContaining({
      code: 'conflict',
      message: '"dev" runs already, with another --port',
      hint: 'leave it out; or stop the compute, and give it to its start: compute-local stop dev --dir /d; compute-local start dev --port … --dir /d',
    }),
  );
});
