import * as v from 'valibot';
import { nothing } from '../route.ts';
import { route } from './route.ts';

const isLibrary = v.pipe(
  v.optional(v.picklist(['true', 'false']), 'false'),
  v.description('`true`: the name is a library, such as `postgis-3.so`.'),
);

export const extensionServer = route({
  method: 'POST',
  path: '/extension_server/',
  tail: { name: 'filename', doc: 'Name of the extension or the library.' },
  auth: 'none',
  summary: 'Downloads a remote extension and answers when its files are installed.',
  differs: '412 without a spec.',
  query: v.object({ is_library: isLibrary }),
  withoutQuery: { is_library: 'false' },
  reply: nothing,
  errors: [
    'not_allowed',
    'wrong_status',
    'conflict',
    'not_found',
    'spec_invalid',
    'download',
    'archive_invalid',
    'deadline',
  ],
  limitMs: 600_000,
  goesOn: true,
  handler: ({ query, tail, signal }, app) => app.downloadExtension(tail, query.is_library === 'true', signal),
});
