import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { hostileEnvironment } from '../support/hostile-environment.ts';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import { startProgram } from '../support/program.ts';

let it: LocalRig;
beforeEach(() => {
  it = localRig();
  // Inherited by what the rig starts.
  for (const [name, value] of Object.entries(hostileEnvironment)) vi.stubEnv(name, value);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await it.clean();
});

test('compute-local creates its cluster, starts, opens psql and stops with every variable of libpq set', async () => {
  const { program, to } = await it.upAndReady();
  const [row] = await queryLocal(
    to,
    `select current_setting('DateStyle') as style, current_user::text as role`,
  );
  expect(row).toEqual({ style: 'ISO, MDY', role: 'app' });
  const asked = `select current_setting('application_name'), current_setting('statement_timeout'), current_user`;
  const psql = startProgram('compute-local', ['psql', '--dir', it.dir, '--', '-XAtc', asked]);
  expect([await psql.exited(), psql.stderr(), psql.stdout()]).toEqual([0, '', 'psql|0|app\n']);
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
});
