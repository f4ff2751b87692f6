import * as v from 'valibot';
import { route } from './route.ts';
import { count } from './fields.ts';

export const metricsJson = route({
  method: 'GET',
  path: '/metrics.json',
  auth: 'jwt',
  summary: 'Durations and sizes of the start, by phase; 0 until measured.',
  reply: v.object({
    wait_for_spec_ms: count('Wait for the spec, when the compute started without one.'),
    sync_sk_check_ms: count('Quick check whether the safekeepers are already in sync.'),
    sync_safekeepers_ms: count("The last full sync of the safekeepers, including the shutdown's."),
    pageserver_connect_micros: count('Connecting to the pageserver, in microseconds.'),
    basebackup_ms: count('Fetching and unpacking the base backup, only the successful attempt.'),
    basebackup_bytes: count('Size of the base backup as transferred (compressed).'),
    start_postgres_ms: count('From spawning Postgres until it was ready.'),
    config_ms: count('Configuring the catalogs after the start, without migrations.'),
    total_startup_ms: count('From the start, or the arrival of the spec, until running.'),
    load_ext_ms: count('Downloading the extensions that must be preloaded.'),
    num_ext_downloaded: count('Number of extensions that were downloaded or already installed.'),
    largest_ext_size: count('Bytes of the largest extension archive.'),
    total_ext_download_size: count('Bytes of all extension archives.'),
  }),
  errors: [],
  handler: (_, app) => app.figures(),
});
