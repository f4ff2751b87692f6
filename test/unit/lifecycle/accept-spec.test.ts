import { expect, test } from 'vitest';
import { ComputeError } from '../../../src/core/errors.ts';
import { type AcceptDeps, SpecAcceptance } from '../../../src/lifecycle/accept-spec.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import type { ResolvedSpec } from '../../../src/spec/resolve.ts';

const spec = (changes: Partial<ResolvedSpec> = {}): ResolvedSpec =>
  ({ tenantId: 't', timelineId: 'l', mode: { kind: 'primary' }, ...changes }) as ResolvedSpec;
const config = (kid: string) => ({ jwks: { keys: [{ kid }] }, tls: null });

function subject(inForce: ResolvedSpec | null, more: Partial<AcceptDeps> = {}) {
  const state = new ComputeState(inForce);
  const said: string[] = [];
  const rotateKeys: AcceptDeps['rotateKeys'] = async ({ keys }) => {
    await Promise.resolve();
    said.push(`keys ${String(keys[0]?.['kid'])}, spec ${state.spec === inForce ? 'old' : 'new'}`);
  };
  return { state, said, specs: new SpecAcceptance({ state, rotateKeys, validate: () => {}, ...more }) };
}

test('a spec is validated, then claimed, then stored, and its keys are in force before anybody goes on', async () => {
  const { state, said, specs } = subject(spec(), { validate: () => void said.push('validate') });
  const next = spec();
  const claim = (): void => void said.push('claim');
  await specs.accept({ spec: next, config: config('a') as never }, 'next', claim);
  expect(said).toEqual(['validate', 'claim', 'keys a, spec new']);
  expect(state.spec).toBe(next);
});

test('a refused spec changes neither the spec in force nor the keys', async () => {
  const before = spec();
  const no = (): never => {
    throw new ComputeError('spec_invalid', 'no');
  };
  const { state, said, specs } = subject(before, { validate: no });
  await expect(specs.accept({ spec: spec(), config: config('a') as never }, 'next')).rejects.toThrow('no');
  expect([state.spec, said]).toEqual([before, []]);
});

test('a spec that cannot be claimed changes nothing', async () => {
  const before = spec();
  const { state, said, specs } = subject(before);
  const claim = (): never => {
    throw new ComputeError('wrong_status', 'busy');
  };
  await expect(specs.accept({ spec: spec(), config: config('a') as never }, 'next', claim)).rejects.toThrow(
    'busy',
  );
  expect([state.spec, said]).toEqual([before, []]);
});

test.each([
  ['next', { tenantId: 'other' }, 'tenant id'],
  ['next', { timelineId: 'other' }, 'timeline id'],
  ['next', { mode: { kind: 'replica' } }, 'mode'],
  ['promotion', { timelineId: 'other' }, 'timeline id'],
] as const)('as %s, %j is refused', async (as, changes, why) => {
  const { specs } = subject(spec());
  await expect(specs.accept({ spec: spec(changes), config: null }, as)).rejects.toThrow(why);
});

test('a promotion may change the mode, and a first spec anything', async () => {
  const { state, specs } = subject(spec({ mode: { kind: 'replica' } }));
  await specs.accept({ spec: spec(), config: null }, 'promotion');
  expect(state.spec?.mode.kind).toBe('primary');
  const empty = subject(null);
  await empty.specs.accept({ spec: spec(), config: null }, 'first');
  expect(empty.state.spec).not.toBeNull();
});

test('keys of two specs come into force in the order of the specs, however long each takes', async () => {
  const said: string[] = [];
  const gates = new Map<string, () => void>();
  const rotateKeys: AcceptDeps['rotateKeys'] = ({ keys }) => {
    const kid = String(keys[0]?.['kid']);
    return new Promise<void>((resolve) =>
      gates.set(kid, () => {
        said.push(kid);
        resolve();
      }),
    );
  };
  const { specs } = subject(spec(), { rotateKeys });
  const first = specs.rotate(config('a') as never);
  const second = specs.rotate(config('b') as never);
  await Promise.resolve();
  expect([...gates.keys()]).toEqual(['a']);
  gates.get('a')?.();
  await first;
  gates.get('b')?.();
  await second;
  expect(said).toEqual(['a', 'b']);
});
