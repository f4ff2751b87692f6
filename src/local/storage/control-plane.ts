import * as v from 'valibot';
import { type Lsn, parseLsn } from '../../core/lsn.ts';
import type { Log } from '../../core/log.ts';
import type { Secret } from '../../core/secret.ts';
import { failure, json } from '../../http/answer.ts';
import { fixedToken } from '../../http/auth.ts';
import type { Route } from '../../http/route.ts';
import { type RunningServer, startServer } from '../../http/server.ts';

/** The control plane's data. */
export interface Known {
  /** The whole answer to the spec request: spec, status and keys. Null for an unknown compute. */
  readonly spec: (computeId: string) => unknown;
  /** The storage's part of `compute-local status`. */
  readonly status: () => unknown;
  /** `claimGeneration`. */
  readonly claim: (known: number, end: Lsn, signal: AbortSignal) => Promise<number>;
}

export interface ControlPlaneOptions extends Known {
  readonly host: string;
  readonly port: number;
  readonly token: Secret;
  readonly log: Log;
}

const limits = { requestMs: 10_000, idleMs: 1000 };

const spec: Route<Known> = {
  method: 'GET',
  path: '/compute/api/v2/computes/',
  tail: { name: 'compute_id', doc: 'Id of the compute.', suffix: '/spec' },
  auth: 'token',
  summary: "A compute's spec, with its status and the control plane's keys.",
  reply: v.unknown(),
  errors: ['not_found'],
  handler: ({ tail }, known) => {
    const found = known.spec(tail);
    return found === null ? failure(404, `the compute ${tail} does not exist`) : json(200, found);
  },
};

const status: Route<Known> = {
  method: 'GET',
  path: '/status',
  auth: 'token',
  quiet: true,
  summary: "The storage's contents.",
  reply: v.unknown(),
  errors: [],
  handler: (_, known) => json(200, known.status()),
};

const claimBody = v.object({
  generation: v.pipe(v.number(), v.integer(), v.minValue(0)),
  end_lsn: v.pipe(
    v.string(),
    v.transform(parseLsn),
    v.check((lsn) => lsn !== null),
    v.transform((lsn) => lsn as Lsn),
  ),
});

const claim: Route<Known, unknown, v.InferOutput<typeof claimBody>> = {
  method: 'POST',
  path: '/generation',
  auth: 'token',
  summary: 'The number for a compute that is made from copies of the files.',
  body: claimBody,
  reply: v.object({ generation: v.number() }),
  errors: ['conflict'],
  limitMs: 10_000,
  handler: async ({ body, signal }, known) => ({
    generation: await known.claim(body.generation, body.end_lsn, signal),
  }),
};

/** Starts the control plane for the computes on one storage; it answers with their specs.
 *  @throws ComputeError `port` */
export const controlPlane = ({
  token,
  host,
  port,
  log,
  ...app
}: ControlPlaneOptions): Promise<RunningServer> =>
  startServer({
    program: 'compute-local',
    name: 'control plane',
    host,
    port,
    routes: [spec, status, claim],
    app,
    auth: fixedToken(token),
    localOnly: true,
    limits,
    log,
  });
