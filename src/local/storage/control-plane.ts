import * as v from 'valibot';
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
    routes: [spec, status],
    app,
    auth: fixedToken(token),
    localOnly: true,
    limits,
    log,
  });
