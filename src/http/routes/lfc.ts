import * as v from 'valibot';
import { nothing } from '../route.ts';
import { route } from './route.ts';
import { count, text } from './fields.ts';

const only = <S extends readonly [string, ...string[]]>(statuses: S) =>
  v.object({ status: v.picklist(statuses) });
const failed = v.object({ status: v.literal('failed'), error: text('Why, with all causes.') });

const prewarmState = v.union([
  only(['not_prewarmed', 'prewarming', 'skipped', 'cancelled']),
  failed,
  v.object({
    status: v.literal('completed'),
    total: count('Pages in the state that was loaded.'),
    prewarmed: count('Pages that were loaded.'),
    skipped: count('Pages that were left out.'),
    state_download_time_ms: count('Fetching the state.'),
    uncompress_time_ms: count('Unpacking it.'),
    prewarm_time_ms: count('Loading the pages.'),
  }),
]);

const offloadState = v.union([
  only(['not_offloaded', 'offloading', 'skipped']),
  failed,
  v.object({
    status: v.literal('completed'),
    state_query_time_ms: count('Asking Postgres for the state.'),
    compress_time_ms: count('Packing it.'),
    state_upload_time_ms: count('Sending it.'),
  }),
]);

export const prewarmStatus = route({
  method: 'GET',
  path: '/lfc/prewarm',
  auth: 'jwt',
  summary: 'Tells how far the last prewarm of the local file cache came.',
  reply: prewarmState,
  errors: [],
  handler: (_, { lfc }) => lfc.prewarmState(),
});

export const prewarm = route({
  method: 'POST',
  path: '/lfc/prewarm',
  auth: 'jwt',
  summary: 'Starts to fill the local file cache, and does not wait for it.',
  query: v.object({ from_endpoint: text('Load the state that this endpoint saved, instead of our own.') }),
  withoutQuery: { from_endpoint: '' },
  success: 202,
  reply: nothing,
  errors: ['busy', 'wrong_status', 'not_built'],
  handler: ({ query }, { lfc }) => lfc.prewarm(query.from_endpoint === '' ? null : query.from_endpoint),
});

export const cancelPrewarm = route({
  method: 'DELETE',
  path: '/lfc/prewarm',
  auth: 'jwt',
  summary: 'Ends a prewarm, if one is under way.',
  success: 202,
  reply: nothing,
  errors: [],
  handler: (_, { lfc }) => lfc.cancelPrewarm(),
});

export const offloadStatus = route({
  method: 'GET',
  path: '/lfc/offload',
  auth: 'jwt',
  summary: 'Tells how the last save of the state of the local file cache went.',
  reply: offloadState,
  errors: [],
  handler: (_, { lfc }) => lfc.offloadState(),
});

export const offload = route({
  method: 'POST',
  path: '/lfc/offload',
  auth: 'jwt',
  summary: 'Starts to save the state of the local file cache, and does not wait for it.',
  success: 202,
  reply: nothing,
  errors: ['busy', 'wrong_status', 'not_built'],
  handler: (_, { lfc }) => lfc.offload(),
});
