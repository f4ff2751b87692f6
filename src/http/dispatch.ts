import type { IncomingHttpHeaders } from 'node:http';
import { withDeadline } from '../core/clock.ts';
import { ComputeError, errorCodes, explained, isAbort } from '../core/errors.ts';
import { wrongStatus } from '../core/lifecycle.ts';
import type { Status } from '../core/status.ts';
import type { Log } from '../core/log.ts';
import { Answer, empty, failure, json, text } from './answer.ts';
import type { Auth } from './auth.ts';
import type { Exchange } from './exchange.ts';
import { UnreadableRequest, readBody, readQuery, readTail } from './extract.ts';
import { checkLocal } from './local-only.ts';
import type { Method, Route, RouteInput } from './route.ts';
import { RouteTable } from './route-table.ts';
import { type Target, readTarget } from './target.ts';

export interface Service<App> {
  readonly routes: readonly Route<App>[];
  /** Passed to the handlers. */
  readonly app: App;
  /** Used for the routes' `allowedIn`; left out where no route has one. */
  readonly status?: () => Status;
  readonly auth: Auth;
  /** Only programs on this machine are answered: see `checkLocal`. */
  readonly localOnly?: boolean;
  /** Called for each answer, with its route's path; null: there is none. */
  readonly answered?: (path: string | null, status: number) => void;
}

/** Answers a request; never rejects. Unknown paths are 404 and known paths with another method 405, both before
 *  authentication. */
export function dispatcher<App>(service: Service<App>): (exchange: Exchange) => Promise<Answer> {
  const table = new RouteTable(service.routes);
  if (service.status === undefined && service.routes.some(({ allowedIn }) => allowedIn !== undefined))
    throw new ComputeError('internal', 'a route requires a status, but this server does not have one');
  if (service.routes.some(({ auth }) => auth !== 'none' && auth !== service.auth.scheme))
    throw new ComputeError(
      'internal',
      'a route requires an authentication that this server does not support',
    );
  return async (exchange) => {
    let path: string | null = null;
    const count = (given: Answer): Answer => {
      service.answered?.(path, given.status);
      return given;
    };
    try {
      if (service.localOnly === true) checkLocal(exchange.incoming);
      const target = readTarget(exchange.incoming);
      const methods = table.find(target.path);
      if (methods === undefined) return count(empty(404));
      const { method = '' } = exchange.incoming;
      const route = methods.get((method === 'HEAD' ? 'GET' : method) as Method);
      if (route === undefined) return count(empty(405, { allow: allowed(methods) }));
      ({ path } = route);
      return count(await answer(service, route, target, exchange));
    } catch (error) {
      return count(failed(error, exchange));
    }
  };
}

const allowed = (methods: ReadonlyMap<Method, unknown>): string =>
  [...methods.keys()].flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(',');

/** Checks token, query, body and status, then calls the handler. The first failure gives the answer. */
async function answer<App>(
  { app, status, auth }: Service<App>,
  route: Route<App>,
  target: Target,
  exchange: Exchange,
): Promise<Answer> {
  const { incoming, span } = exchange;
  span?.set({ 'http.route': route.path });
  if (route.auth !== 'none') await auth.check(incoming.headers.authorization);
  const query = readQuery(route, target.query);
  const tail = readTail(route, target.path);
  const body = await readBody(route, incoming);
  gate(route, status);
  const result = await bounded(route, exchange, (given) =>
    route.handler(new Input(query, body, tail, exchange, given), app),
  );
  return result instanceof Answer ? result : successful(route, result);
}

function successful({ success = 200, contentType }: Route, result: unknown): Answer {
  if (result === undefined) return empty(success);
  return contentType === undefined ? json(success, result) : text(success, result as string, contentType);
}

function gate({ allowedIn, checkedByApp }: Route, statusNow: (() => Status) | undefined): void {
  if (allowedIn === undefined || checkedByApp === true || statusNow === undefined) return;
  const status = statusNow();
  if (!allowedIn.includes(status)) throw wrongStatus(status);
}

/** Log and signal are created when a handler uses them: most of the quick ones never do. */
class Input implements RouteInput {
  readonly query: unknown;
  readonly body: unknown;
  readonly tail: string;
  readonly #exchange: Exchange;
  readonly #signal: AbortSignal | undefined;

  constructor(query: unknown, body: unknown, tail: string, exchange: Exchange, signal?: AbortSignal) {
    this.query = query;
    this.body = body;
    this.tail = tail;
    this.#exchange = exchange;
    this.#signal = signal;
  }

  get headers(): IncomingHttpHeaders {
    return this.#exchange.incoming.headers;
  }

  get isHead(): boolean {
    return this.#exchange.incoming.method === 'HEAD';
  }

  get log(): Log {
    return this.#exchange.log;
  }

  get signal(): AbortSignal {
    return this.#signal ?? this.#exchange.signal;
  }
}

async function bounded<T>(
  { method, path, limitMs, goesOn }: Route,
  exchange: Exchange,
  work: (signal?: AbortSignal) => T | Promise<T>,
): Promise<T> {
  if (limitMs === undefined) return work();
  const what =
    goesOn === true ? `${method} ${path} (which continues in the background)` : `${method} ${path}`;
  return withDeadline(what, limitMs, exchange.signal, async (both) => work(both));
}

const shapePrefix = 'failed to deserialize the json body into the target type: ';

/** The answer for a failure. Details that are not for clients go to the log only. */
function failed(error: unknown, exchange: Exchange): Answer {
  if (isAbort(error) && exchange.signal.aborted) return failure(499, 'the client disconnected');
  if (!(error instanceof ComputeError)) {
    exchange.log.error(
      { err: explained(error), stack: error instanceof Error ? error.stack : undefined },
      'defect',
    );
    return failure(500, 'internal error');
  }
  const message = error.code === 'spec_shape' ? shapePrefix + error.message : error.message;
  if (error instanceof UnreadableRequest) exchange.log.debug({ error_code: error.code }, explained(error));
  else exchange.log.error({ error_code: error.code }, explained(error));
  return failure(errorCodes[error.code].http, message);
}
