import { never } from '../core/abort.ts';
import { type IncomingMessage, type RequestListener, type Server, createServer } from 'node:http';
import { withDeadline } from '../core/clock.ts';
import { inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { within } from '../telemetry/trace.ts';
import { failure, send } from './answer.ts';
import { answerBrokenRequest } from './broken-request.ts';
import { type Service, dispatcher } from './dispatch.ts';
import { Exchange } from './exchange.ts';
import { listen } from './listen.ts';

/** What a slow, idle or flooding client may take. */
export interface ServerLimits {
  /** Milliseconds from the connection, or the answer before, to the end of the head. */
  readonly headersMs: number;
  /** Milliseconds for the whole request, body included. */
  readonly requestMs: number;
  /** Milliseconds a connection may be idle between two requests. */
  readonly idleMs: number;
  /** How often the limits above are looked at, in milliseconds. */
  readonly checkMs: number;
  readonly connections: number;
}

const defaultLimits: ServerLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 65_000,
  checkMs: 1000,
  connections: 2000,
};

const maxHeaderBytes = 16_384;
const maxHeaders = 100;
/** For the rest of a body after its answer. */
const restMs = 1000;

export interface ServerOptions<App> extends Service<App> {
  /** For logs and errors: `external` or `internal`. */
  readonly name: string;
  /** An address; `::` for every address, `localhost` for the loopback of both families. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
  /** Aborting it closes the server at once. */
  readonly signal: AbortSignal;
  readonly limits?: Partial<ServerLimits>;
}

export interface RunningServer {
  readonly port: number;
  /** Takes no new requests, lets the open ones finish for `limitMs` milliseconds, then cuts them off. */
  close(limitMs: number): Promise<void>;
}

/** Starts a server; resolves when it is bound.
 *  @throws ComputeError `port` when an address cannot be bound */
export async function startServer<App>(options: ServerOptions<App>): Promise<RunningServer> {
  const { name, host, log, signal } = options;
  signal.throwIfAborted();
  const limits = { ...defaultLimits, ...options.limits };
  const open = new Set<Exchange>();
  let closing: Promise<void> | undefined;
  const listener = requestListener(options, open, () => closing !== undefined);
  const what = `the ${name} HTTP server`;
  const bound = await listen(what, host, options.port, () => createHttpServer(limits, listener, open, log));
  for (const address of bound.addresses) log.info(`compute_ctl ${name} HTTP server listening at ${address}`);

  const close = (limitMs: number): Promise<void> => {
    closing ??= drain(bound.servers, open, limitMs, log).finally(() =>
      signal.removeEventListener('abort', cut),
    );
    return closing;
  };
  const cut = (): void => {
    void close(0);
    for (const server of bound.servers) server.closeAllConnections();
  };
  signal.addEventListener('abort', cut, { once: true });
  if (signal.aborted) cut();
  return { port: bound.port, close };
}

function requestListener<App>(
  { routes, log, ...service }: ServerOptions<App>,
  open: Set<Exchange>,
  isClosing: () => boolean,
): RequestListener {
  const dispatch = dispatcher({ routes, ...service });
  const quiet = new Set(routes.filter((route) => route.quiet === true).map((route) => route.path));
  const answer = async (exchange: Exchange): Promise<void> => {
    try {
      send(exchange, await dispatch(exchange));
    } catch (error) {
      // Such as a header passed on that Node refuses to send.
      exchange.log.error(`an answer could not be sent: ${inline(error)}`);
      exchange.outgoing.destroy();
    }
  };
  return (incoming, outgoing) => {
    const exchange = new Exchange(incoming, outgoing, log, quiet.has(incoming.url ?? ''));
    open.add(exchange);
    outgoing.once('close', () => {
      open.delete(exchange);
      exchange.end();
      if (!incoming.complete) endSoon(incoming);
    });
    exchange.begin();
    if (!isClosing()) {
      void within(exchange.span, () => answer(exchange));
      return;
    }
    outgoing.setHeader('connection', 'close');
    send(exchange, failure(503, 'compute_ctl is shutting down'));
  };
}

/** The answer came before the end of the body, which Node reads and throws away: the client may see the answer, but shall
 *  not go on for ever. */
function endSoon(incoming: IncomingMessage): void {
  const cut = (): void => {
    if (!incoming.complete) incoming.socket.destroy();
  };
  setTimeout(cut, restMs).unref();
}

function createHttpServer(
  limits: ServerLimits,
  listener: RequestListener,
  open: ReadonlySet<Exchange>,
  log: Log,
): Server {
  const server = createServer(
    {
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: limits.checkMs,
      maxHeaderSize: maxHeaderBytes,
    },
    listener,
  );
  server.maxHeadersCount = maxHeaders;
  server.maxConnections = limits.connections;
  server.on('clientError', (error, socket) => answerBrokenRequest(error, socket, open, log));
  return server;
}

async function drain(
  servers: readonly Server[],
  open: ReadonlySet<Exchange>,
  limitMs: number,
  log: Log,
): Promise<void> {
  const closed = Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  const answered = Promise.all(
    [...open].map(({ outgoing }) => new Promise((resolve) => outgoing.once('close', resolve))),
  );
  for (const { outgoing } of open) {
    if (!outgoing.headersSent) outgoing.setHeader('connection', 'close');
  }
  try {
    await withDeadline('closing', limitMs, never, () => answered);
  } catch {
    log.warn(`${open.size} open requests are cut off`);
  }
  // What is left is cut off or has nothing to say: silent connections must not hold up the end.
  for (const server of servers) server.closeAllConnections();
  await closed;
}
