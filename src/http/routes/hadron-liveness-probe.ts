import * as v from 'valibot';
import { route } from './route.ts';

export const hadronLivenessProbe = route({
  method: 'GET',
  path: '/hadron_liveness_probe',
  auth: 'jwt',
  summary: 'Checks whether Postgres accepts connections, by opening one, as `pg_isready` does.',
  differs: 'it does not run a program, and uses the host and port of `--connstr`.',
  reply: v.literal('ok'),
  errors: ['sql', 'deadline'],
  limitMs: 30_000,
  handler: async ({ signal }, { database }) => {
    await database.mustAcceptConnections(signal);
    return 'ok' as const;
  },
});
