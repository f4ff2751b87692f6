import * as v from 'valibot';
import { route } from './route.ts';

export const hadronLivenessProbe = route({
  method: 'GET',
  path: '/hadron_liveness_probe',
  auth: 'jwt',
  summary: 'Tells whether Postgres accepts connections, as `pg_isready` does, by opening one.',
  differs: 'no program is run, and host and port are those of `--connstr`.',
  reply: v.literal('ok'),
  errors: ['sql', 'deadline'],
  limitMs: 30_000,
  handler: async ({ signal }, { database }) => {
    await database.mustAcceptConnections(signal);
    return 'ok' as const;
  },
});
