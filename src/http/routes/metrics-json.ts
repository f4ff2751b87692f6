import * as v from 'valibot';
import { route } from './route.ts';
import { count } from './fields.ts';

export const metricsJson = route({
  method: 'GET',
  path: '/metrics.json',
  auth: 'jwt',
  summary: 'What the phases of the start took; 0 until measured.',
  reply: v.object({
    wait_for_spec_ms: count('Until a spec was pushed, for a compute that started without one.'),
    sync_sk_check_ms: count('The quick look whether the safekeepers are in sync already.'),
    sync_safekeepers_ms: count('The last full sync of the safekeepers, also the one when stopping.'),
    pageserver_connect_micros: count('Connecting to the pageserver, in microseconds.'),
    basebackup_ms: count('Fetching and unpacking the base backup, in the attempt that succeeded.'),
    basebackup_bytes: count('Size of the base backup as it was sent.'),
    start_postgres_ms: count('From spawning Postgres until it was ready.'),
    config_ms: count('Configuring the catalogs after the start, without migrations.'),
    total_startup_ms: count('From the start, or the arrival of the spec, until running.'),
    load_ext_ms: count('Fetching the extensions that must be preloaded.'),
    num_ext_downloaded: count('Extensions that were fetched or were there already.'),
    largest_ext_size: count('Bytes of the largest extension archive.'),
    total_ext_download_size: count('Bytes of all extension archives.'),
  }),
  errors: [],
  handler: (_, app) => app.figures(),
});
