import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parseControlPlane } from '../../src/spec/parse.ts';
import { withControlPlane } from '../support/control-plane.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { startProgram } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const dir = scratchDir('examples');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Document {
  spec: { cluster: { settings: { name: string }[] } } | null;
}

const read = (name: string): Document => JSON.parse(readFileSync(join(examples, name), 'utf8')) as Document;

/** A copy that the OS user can read. */
function copy(name: string, document: object = read(name)): string {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, name);
  writeFileSync(file, JSON.stringify(document));
  return file;
}

async function check(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<readonly [unknown, string]> {
  const run = startProgram('compute_ctl', ['check', '-i', 'compute-1', ...args], env);
  const code = await run.exited();
  return [code, run.output()];
}

const stock = ['-b', join(defaultPostgres().bindir, 'postgres')];
const whole = ['stock-postgres.json', 'neon-storage.json', 'replica.json', 'pushed.json'];
const answers = ['pulled.json', 'pulled-empty.json'];

/** The library of Neon's PostgreSQL is not in a stock one; everything else of the config is checked against it. */
function withoutNeon(name: string): Document {
  const document = read(name);
  if (document.spec === null) return document;
  const { cluster } = document.spec;
  const settings = cluster.settings.filter((one) => one.name !== 'shared_preload_libraries');
  return { ...document, spec: { ...document.spec, cluster: { ...cluster, settings } } };
}

test.each(whole)('compute_ctl check finds nothing wrong with the example %s', async (name) => {
  const [code, output] = await check(['-c', copy(name, withoutNeon(name)), ...stock]);
  expect(output).toMatch(/\nvalid\n/);
  expect(code).toBe(0);
});

test.each(whole)(
  'the example %s is as it stands valid where its PostgreSQL is not installed',
  async (name) => {
    const [code, output] = await check(['-c', copy(name)], { PATH: '/nowhere' });
    expect(output.match(/^not checked: .*/gm)).toEqual([expect.stringContaining('the settings')]);
    expect(output).toMatch(/\nvalid\n/);
    expect(code).toBe(0);
  },
);

test.each(answers)('compute_ctl accepts %s as the answer of a control plane', async (name) => {
  await expect(parseControlPlane(JSON.stringify(read(name)))).resolves.toMatchObject({ notes: [] });
  await withControlPlane(
    () => withoutNeon(name),
    async ({ uri }) => {
      const [code, output] = await check(['-p', uri, ...stock]);
      expect(output).toMatch(/\nvalid\n/);
      expect(code).toBe(0);
    },
  );
});

test('compute_ctl check finds nothing wrong with an empty compute that has the example keys', async () => {
  const empty = copy('empty.json', { spec: null, compute_ctl_config: { jwks: { keys: [] } } });
  const [code, output] = await check(['-c', empty, '--jwks', copy('pushed-keys.json'), ...stock]);
  expect(output).toMatch(/\nvalid\n/);
  expect(code).toBe(0);
});

test('every example is checked', () => {
  const files = readdirSync(examples).filter((name) => name.endsWith('.json'));
  expect(new Set(files)).toEqual(new Set([...whole, ...answers, 'pushed-keys.json']));
});
