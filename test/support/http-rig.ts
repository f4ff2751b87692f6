import { expect } from 'vitest';
import { ComputeClient, InternalClient, mintToken } from '../../src/client/index.ts';
import type { Status } from '../../src/core/status.ts';
import { withPg } from '../../src/pg/client.ts';
import { type Rig, rig } from './compute.ts';
import { undocumented } from './openapi.ts';
import { type Program, eventually } from './program.ts';

export interface Asked {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
}

/** A running compute and clients of both its servers. */
export interface HttpRig {
  readonly it: Rig;
  readonly program: Program;
  readonly internalPort: number;
  readonly external: ComputeClient;
  readonly internal: InternalClient;
  /** Any request to either server; what comes back must be documented. */
  readonly ask: (port: number, method: string, target: string, options?: RequestInit) => Promise<Asked>;
  /** A token that opens every compute, as headers. */
  readonly bearer: (token?: string) => Record<string, string>;
  /** A JSON body with that token. */
  readonly posting: (body: unknown) => RequestInit;
  readonly query: <T>(sql: string) => Promise<T[]>;
}

const { signal } = new AbortController();
const url = (port: number): string => `http://127.0.0.1:${port}`;

async function ask(port: number, method: string, target: string, options: RequestInit = {}): Promise<Asked> {
  const response = await fetch(url(port) + target, { ...options, method });
  const { status, headers } = response;
  const body = await response.text();
  const found = undocumented({ method, target, status, contentType: headers.get('content-type'), body });
  expect(found).toEqual([]);
  return { status, body, headers };
}

export interface HttpRigOptions {
  /** What `start` is given, once the rig stands; storage may be made to misbehave here. */
  readonly prepare?: (it: Rig) => Parameters<Rig['start']>[0];
  /** The status to wait for; `running` when left out. */
  readonly until?: Status;
}

export async function httpRig({ prepare, until = 'running' }: HttpRigOptions = {}): Promise<HttpRig> {
  const it = await rig();
  const program = it.start(prepare?.(it));
  await it.until(until);
  // The rig chooses the port by itself.
  const internalPort = await eventually('the internal server', () => {
    const listening = /compute_ctl internal HTTP server listening at \S+:(\d+)/.exec(program.stderr());
    return listening === null ? undefined : Number(listening[1]);
  });
  const key = it.keys.privateKey;
  const token = (): string => mintToken({ key, kid: 'test', for: { computeId: 'compute-1' } });
  const bearer: HttpRig['bearer'] = (given = mintToken({ key, for: 'admin' })) => ({
    authorization: `Bearer ${given}`,
  });
  const target = { host: '127.0.0.1', port: it.port, user: 'cloud_admin', password: null, options: '' };
  return {
    it,
    program,
    internalPort,
    external: new ComputeClient({ url: url(it.httpPort), token }),
    internal: new InternalClient({ url: url(internalPort) }),
    ask,
    bearer,
    posting: (body) => ({
      headers: { ...bearer(), 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
    query: <T>(sql: string) =>
      withPg(
        { ...target, database: 'postgres' },
        { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal },
        async (pg) => (await pg.query(sql)).rows as T[],
      ),
  };
}
