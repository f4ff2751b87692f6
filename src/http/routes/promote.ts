import * as v from 'valibot';
import { type Lsn, parseLsn } from '../../core/lsn.ts';
import { computeSpecSchema } from '../../spec/schema.ts';
import { lsnText } from '../../spec/schema/kit.ts';
import { json } from '../answer.ts';
import { route } from './route.ts';
import { count, text } from './fields.ts';

const reply = v.variant('status', [
  v.object({
    status: v.literal('completed'),
    lsn_wait_time_ms: count("Wait until the replica had replayed the former primary's WAL."),
    pg_promote_time_ms: count('Promotion of Postgres.'),
    reconfigure_time_ms: count('Reconfiguration with the new spec.'),
  }),
  v.object({ status: v.literal('failed'), error: text('Why, with all causes.') }),
]);

export const promote = route({
  method: 'POST',
  path: '/promote',
  auth: 'jwt',
  summary:
    'Promotes a replica to primary. All callers get the same result; after a failure, the next call tries again.',
  differs: 'errors of the body are JSON. 412 without a spec.',
  body: v.object({
    spec: v.pipe(computeSpecSchema, v.description("The former primary's spec.")),
    wal_flush_lsn: v.pipe(lsnText(), v.description("The end of the former primary's WAL.")),
  }),
  reply,
  otherReplies: { 500: 'The promotion failed.' },
  errors: ['spec_invalid', 'wrong_status', 'deadline'],
  limitMs: 600_000,
  goesOn: true,
  handler: async ({ body, signal }, app) => {
    const state = await app.promote(body.spec, parseLsn(body.wal_flush_lsn) as Lsn, signal);
    return json(state.status === 'completed' ? 200 : 500, state);
  },
});
