import { sleep } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { type Endpoint, parseEndpoint } from './rsyslog/endpoint.ts';
import { KeepsFile } from './rsyslog/kept-file.ts';
import { exportText } from './rsyslog/text.ts';
import type { Service } from './service.ts';

/** Null collector: what was given is not an address. */
interface Wanted {
  readonly given: string;
  readonly collector: Endpoint | null;
}

const field = 'spec.logs_export_host';

const file = 'postgres_logs.conf';

/** How long the end of the compute waits for rsyslogd to read what Postgres has written last. */
const readMs = 300;

/** Sends Postgres's log to a collector by rsyslog. Without it, what Postgres sends to syslog would be lost. */
export const logsExport: Service<Wanted> = {
  name: 'logs-export',
  when: 'beside-postgres',
  wants: ({ spec: { logs_export_host: given } }) =>
    given === null ? null : { given, collector: endpointOrNull(given) },
  conf: ({ collector }) => (collector === null ? [] : ["log_destination='stderr,syslog'"]),
  cleanUp: ({ rsyslog }) => rsyslog.remove(file),
  start: async (wanted, deps) =>
    new KeepsFile<Wanted>(
      {
        name: 'logs-export',
        file,
        text: ({ given }) => exportText(parseEndpoint(given, field)),
        // The last words of Postgres are in the socket of rsyslogd, which reads it at once, and sends them before it ends.
        atEnd: async (_, patient, signal) => void (patient && (await sleep(readMs, signal).catch(() => {}))),
      },
      wanted,
      deps,
    ),
};

/** For the lines of `postgresql.conf`: an error in the address must not end a start. The service shows it. */
function endpointOrNull(text: string): Endpoint | null {
  try {
    return parseEndpoint(text, field);
  } catch (error) {
    if (error instanceof ComputeError) return null;
    throw error;
  }
}
