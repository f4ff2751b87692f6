import { expect } from 'vitest';
import { statusText } from '../../../src/core/status.ts';
import type { Status } from '../../../src/core/status.ts';
import type { HttpRig } from '../../support/http-rig.ts';

/** One cell of the contract: what is asked, and what must come back. */
export type Row = readonly [
  server: 'external' | 'internal',
  request: `${'GET' | 'POST' | 'DELETE' | 'HEAD'} ${string}`,
  status: number,
  body: RegExp,
  options?: RequestInit,
];

/** `METHOD /path status` of every answer that a walk has seen, for the ledger at the end. */
export const seen = new Set<string>();

/** Asks one row after another, with an admin's token unless the row brings its own headers. */
export async function walk(on: HttpRig, rows: readonly Row[]): Promise<void> {
  for (const [server, request, status, body, options] of rows) {
    const [method = '', target = ''] = request.split(/ (.*)/s);
    const port = server === 'external' ? on.it.httpPort : on.internalPort;
    const answer = await on.ask(port, method, target, options ?? { headers: on.bearer() });
    const where = `${request} of ${on.program.pid}`;
    expect([where, answer.status, answer.body]).toEqual([where, status, expect.stringMatching(body)]);
    expect(answer.headers.get('x-request-id')).toMatch(/^\S+$/);
    note(method, target, status);
  }
}

export function note(method: string, target: string, status: number): void {
  const path = target.split('?', 1)[0] ?? '';
  seen.add(`${method} ${path.replace(/^\/extension_server\/.+/, '/extension_server/{filename}')} ${status}`);
}

/** A request for a privilege that its role has in every fresh cluster: nothing is left to write. */
export const grantThatIsHeld = {
  database: 'app',
  schema: 'public',
  privileges: ['USAGE' as const],
  role: 'pg_database_owner',
};

export const plpgsql = { extension: 'plpgsql', database: 'app', version: '1.0' };

const wrong = (status: Status): RegExp =>
  new RegExp(`^{"error":"invalid compute status: ${statusText(status)}"}$`);

/** The routes that need a compute in `running`, asked in any other status. */
export const gated = (on: HttpRig, status: Status): Row[] => [
  ['external', 'GET /insights', 412, wrong(status)],
  ['external', 'POST /check_writability', 412, wrong(status)],
  ['internal', 'POST /extensions', 412, wrong(status), on.posting(plpgsql)],
  ['internal', 'POST /grants', 412, wrong(status), on.posting(grantThatIsHeld)],
];

export const refused = (request: Row[1], status: Status, options?: RequestInit): Row => [
  'external',
  request,
  412,
  wrong(status),
  ...(options === undefined ? ([] as const) : ([options] as const)),
];

/** The routes that answer in every status. */
export const ungated = (status: Status): Row[] => [
  ['external', 'GET /status', 200, new RegExp(`"status":"${status}"`)],
  ['external', 'HEAD /status', 200, /^$/],
  [
    'external',
    'GET /metrics',
    200,
    new RegExp(`compute_ctl_up{build_tag="latest",status="${statusText(status)}"} 1\n`),
  ],
  ['external', 'GET /metrics.json', 200, /"total_ext_download_size":0}$/],
  ['external', 'GET /downtime', 200, /"incidents":\[/],
  ['external', 'GET /lfc/prewarm', 200, /^{"status":"not_prewarmed"}$/],
  ['external', 'DELETE /lfc/prewarm', 202, /^$/],
  ['external', 'GET /lfc/offload', 200, /^{"status":"not_offloaded"}$/],
  ['external', 'GET /livez', 200, new RegExp(`^{"status":"${status}"}$`)],
];

/** The two probes that depend on how far the compute is. */
export const probes = (status: Status, ready: boolean, started: boolean): Row[] => {
  const since = '"since":"\\d{4}-\\d{2}-\\d{2}T[\\d:.]+Z"';
  const body = new RegExp(`^{"status":"${status}",${since}(,"reason":"[^"]+")?}$`);
  return [
    ['external', 'GET /readyz', ready ? 200 : 503, body],
    ['external', 'GET /startupz', started ? 200 : 503, body],
  ];
};

/** Only these have anything to refresh, or say that they have not. */
export const refresh = (status: Status): Row => {
  const name = status.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const accepted = ['init', 'running', 'failed', 'refresh_configuration_pending'].includes(status);
  const body = accepted
    ? /^$/
    : new RegExp(`^{"error":"Cannot refresh compute configuration in state ${name}"}$`);
  return ['internal', 'POST /refresh_configuration', accepted ? 200 : 500, body];
};
