import * as v from 'valibot';
import { nothing } from '../route.ts';
import { route } from './route.ts';
import { count, text } from './fields.ts';

const only = <S extends readonly [string, ...string[]]>(statuses: S) =>
  v.object({ status: v.picklist(statuses) });
const failed = v.object({ status: v.literal('failed'), error: text('Why, with all causes.') });

const pages = {
  total: count('Pages in the state that is loaded.'),
  prewarmed: count('Pages that were loaded.'),
  skipped: count('Pages that were skipped.'),
};

const prewarmState = v.union([
  only(['not_prewarmed', 'skipped', 'cancelled']),
  v.object({
    status: v.literal('prewarming'),
    total: v.optional(pages.total),
    prewarmed: v.optional(pages.prewarmed),
    skipped: v.optional(pages.skipped),
  }),
  failed,
  v.object({
    status: v.literal('completed'),
    ...pages,
    state_download_time_ms: count('Time to fetch the state.'),
    uncompress_time_ms: count('Time to decompress the state.'),
    prewarm_time_ms: count('Time to load the pages.'),
  }),
]);

const offloadState = v.union([
  only(['not_offloaded', 'offloading', 'skipped']),
  failed,
  v.object({
    status: v.literal('completed'),
    state_query_time_ms: count('Time to read the state from Postgres.'),
    compress_time_ms: count('Time to compress the state.'),
    state_upload_time_ms: count('Time to upload the state.'),
  }),
]);

export const prewarmStatus = route({
  method: 'GET',
  path: '/lfc/prewarm',
  auth: 'jwt',
  summary: "Shows the last local file cache prewarm's progress or result.",
  reply: prewarmState,
  errors: [],
  handler: (_, { lfc }) => lfc.prewarmState(),
});

export const prewarm = route({
  method: 'POST',
  path: '/lfc/prewarm',
  auth: 'jwt',
  summary: 'Starts a prewarm of the local file cache, and does not wait for its end.',
  query: v.object({
    from_endpoint: text("The endpoint whose saved state is loaded, instead of this endpoint's own."),
  }),
  withoutQuery: { from_endpoint: '' },
  success: 202,
  reply: nothing,
  errors: ['busy', 'wrong_status', 'bad_request'],
  handler: ({ query }, { lfc }) => lfc.prewarm(query.from_endpoint === '' ? null : query.from_endpoint),
});

export const cancelPrewarm = route({
  method: 'DELETE',
  path: '/lfc/prewarm',
  auth: 'jwt',
  summary: 'Stops the prewarm, if one is running.',
  success: 202,
  reply: nothing,
  errors: [],
  handler: (_, { lfc }) => lfc.cancelPrewarm(),
});

export const offloadStatus = route({
  method: 'GET',
  path: '/lfc/offload',
  auth: 'jwt',
  summary: "Shows the result of the last save of the local file cache's state.",
  reply: offloadState,
  errors: [],
  handler: (_, { lfc }) => lfc.offloadState(),
});

export const offload = route({
  method: 'POST',
  path: '/lfc/offload',
  auth: 'jwt',
  summary: "Starts to save the local file cache's state, and does not wait for the end.",
  success: 202,
  reply: nothing,
  errors: ['busy', 'wrong_status'],
  handler: (_, { lfc }) => lfc.offload(),
});
