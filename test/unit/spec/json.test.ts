import { assert, asyncProperty, constantFrom, json, jsonValue } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig, parseJwks, parseLegacySpec, readConfigureBody } from '../../../src/spec/parse.ts';
import { fullConfig, leastSpec } from './example.ts';
import { failure } from './failure.ts';

describe('the text', () => {
  test.each<[string, string]>([
    ['', 'line 1, column 1: value expected'],
    ['{"a": 1,}', 'line 1, column 9: property name expected'],
    ['{"a": 1}\n\n x', 'line 3, column 2: invalid symbol'],
    ['{\n  "a": tru\n}', 'line 2, column 8: invalid symbol'],
    ['// hi\n{}', 'line 1, column 1: invalid comment token'],
    ['{"a": "b\nc"}', 'line 1, column 7: unexpected end of string'],
    ['\u{feff}{}', 'line 1, column 1: invalid symbol'],
  ])('%j is not JSON, and the place is named', async (text, place) => {
    const error = await failure(parseConfig(text));
    expect(error.code).toBe('config_unreadable');
    expect(error.message).toBe(`not valid JSON: ${place}`);
  });

  test('is never quoted in an error, for it may hold secrets', async () => {
    const error = await failure(parseConfig('{"storage_auth_token": "hush" hush}'));
    expect(error.message).not.toContain('hush');
  });

  test('that gives a member twice is refused with the path of the member', async () => {
    const text = JSON.stringify(leastSpec()).replace('"roles":[]', '"roles":[],"roles":[]');
    const error = await failure(parseLegacySpec(text));
    expect(error.message).toBe('spec.cluster.roles: given twice');
    const escaped = JSON.stringify(leastSpec()).replace('"roles":[]', '"roles":[],"role\\u0073":[]');
    expect((await failure(parseLegacySpec(escaped))).message).toBe('spec.cluster.roles: given twice');
  });

  test.each(['1.0', '1e0', '10E-1'])('that writes an integer as %s is refused', async (number) => {
    const text = JSON.stringify({ ...leastSpec(), reconfigure_concurrency: 1 });
    const error = await failure(
      parseLegacySpec(text.replace('"reconfigure_concurrency":1', `"reconfigure_concurrency":${number}`)),
    );
    expect(error.message).toBe(
      'spec.reconfigure_concurrency: expected integer, found a number with a fraction',
    );
  });

  test.each(['1.0', '1', '1e0'])('may write the format version as %s', async (number) => {
    const text = JSON.stringify(leastSpec()).replace('"format_version":1', `"format_version" : ${number}`);
    expect((await parseLegacySpec(text)).value.format_version).toBe(1);
  });

  test('that is nested without end is refused, not a crash', async () => {
    const deep = `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect((await failure(parseConfig(deep))).message).toBe('not valid JSON: nested deeper than 128 levels');
  });

  test('of any JSON gives a spec or a ComputeError, nothing else', async () => {
    await assert(
      asyncProperty(json({ maxDepth: 4 }), async (text) => {
        expect(['spec_shape', 'config_unreadable']).toContain((await failure(parseConfig(text))).code);
      }),
    );
  });

  test('whose members are hostile names neither crashes nor leaks into prototypes', async () => {
    const text = JSON.stringify(leastSpec()).replace(
      '"roles"',
      '"__proto__":{"databases":1},"constructor":5,"roles"',
    );
    const { value, notes } = await parseLegacySpec(text);
    expect(value.cluster.databases).toEqual([]);
    expect(notes).toContain('unknown field spec.cluster.constructor is ignored');
  });

  test('that replaces one value by another type never prints the secrets of the rest', async () => {
    const paths = [
      'cluster',
      'features',
      'tenant_id',
      'mode',
      'remote_extensions',
      'pageserver_connection_info',
    ];
    await assert(
      asyncProperty(constantFrom(...paths), jsonValue({ maxDepth: 1 }), async (path, value) => {
        const config = fullConfig();
        const text = JSON.stringify({ ...config, spec: { ...config.spec, [path]: value } });
        const error = await parseConfig(text).then(
          () => null,
          (thrown: unknown) => thrown as Error,
        );
        expect(error?.message ?? '').not.toMatch(/storage-token|endpoint-token|SCRAM|pw-in-url/);
      }),
    );
  });
});

describe('keys', () => {
  const good = { kty: 'OKP', crv: 'Ed25519', x: 'AAAA', kid: 'one' };

  test.each<[object, string]>([
    [{ kty: 'NEW' }, 'unknown kty "NEW"'],
    [{ ...good, alg: 'ES512' }, 'unknown alg "ES512"'],
    [{ ...good, crv: 'Ed448' }, 'unknown crv "Ed448"'],
    [{ kty: 'constructor' }, 'unknown kty "constructor"'],
  ])('of an unknown kind are ignored with a note: %j', async (key, why) => {
    const { value, notes } = await parseJwks(JSON.stringify({ keys: [key, good] }));
    expect(value).toEqual([good]);
    expect(notes).toEqual([`keys[0] is ignored: ${why}`]);
  });

  test.each<[object, string]>([
    [{ kty: 'OKP', crv: 'Ed25519' }, 'x'],
    [{ kty: 'RSA', n: 'AA', e: 5 }, 'e'],
    [{ kty: 'EC', crv: 'P-256', x: 'AA' }, 'y'],
    [{ kty: 'oct' }, 'k'],
    [{ ...good, kid: 5 }, 'kid'],
  ])('of a known kind that are broken are refused: %j', async (key, member) => {
    const error = await failure(parseJwks(JSON.stringify({ keys: [key] })));
    expect(error.message).toMatch(
      new RegExp(`^keys\\[0\\]\\.${member}: (?:expected string, found |missing, expected string)`),
    );
  });

  test('are checked along with the spec, so that both are reported at once', () => {
    const body = { spec: {}, compute_ctl_config: { jwks: { keys: [{ kty: 'oct', k: 7 }] } } };
    expect(() => readConfigureBody(body)).toThrow(
      /spec\.cluster: .*\n(?:.*\n)*compute_ctl_config\.jwks\.keys\[0\]\.k: expected string, found number/,
    );
  });
});
