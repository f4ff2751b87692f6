import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { never } from '../core/abort.ts';
import { alarm, withDeadline } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { within } from '../telemetry/trace.ts';
import { failure, keptBytes, send } from './answer.ts';
import { answerBrokenRequest } from './broken-request.ts';
import { type Service, dispatcher } from './dispatch.ts';
import { Exchange } from './exchange.ts';
import { inTurn } from './in-turn.ts';
import { type ServerLimits, createLimited, defaultLimits, keptLimitBytes } from './limits.ts';
import { listen } from './listen.ts';
import { type Upgrade, Upgraded } from './upgrade.ts';

/** Time limit for the rest of a body after its answer. */
const restMs = 1000;

export interface ServerOptions<App> extends Service<App> {
  /** The program, for the log. */
  readonly program: string;
  /** The server's name in that program, for the log and for errors, such as `external HTTP server`. */
  readonly name: string;
  /** An address; `::` for every address, `localhost` for the loopback of both families. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
  /** Aborting it closes the server at once. */
  readonly signal?: AbortSignal;
  readonly limits?: Partial<ServerLimits>;
  /** Of every answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Left out: a request for another protocol is answered as a plain request. */
  readonly upgrade?: Upgrade;
}

export interface RunningServer {
  readonly port: number;
  /** Accepts no new requests, lets the open ones finish for `limitMs` milliseconds, then closes their connections. */
  close(limitMs: number): Promise<void>;
}

/** Starts a server; resolves when it is bound.
 *  @throws ComputeError `port` when an address cannot be bound */
export async function startServer<App>(options: ServerOptions<App>): Promise<RunningServer> {
  const { program, name, host, log, signal = never } = options;
  signal.throwIfAborted();
  const limits = { ...defaultLimits, ...options.limits };
  const open = new Set<Exchange>();
  let closing: Promise<void> | undefined;
  const isClosing = (): boolean => closing !== undefined;
  const upgraded = new Upgraded(options, isClosing);
  const listener = requestListener(options, open, isClosing);
  const bound = await listen(`the ${name}`, host, options.port, () => {
    const server = createLimited(limits, listener, options.upgrade !== undefined);
    server.on('clientError', (error, socket) => answerBrokenRequest(error, socket, open, log));
    upgraded.serve(server);
    return server;
  });
  for (const server of bound.servers)
    server.on('error', (error) => log.error(`the ${name} cannot accept a connection: ${explained(error)}`));
  for (const address of bound.addresses) log.info(`${program} ${name} listening at ${address}`);

  const close = (limitMs: number): Promise<void> => {
    closing ??= drain({ servers: bound.servers, open, upgraded, log }, limitMs).finally(() =>
      signal.removeEventListener('abort', cut),
    );
    return closing;
  };
  const cut = (): void => {
    void close(0);
    for (const server of bound.servers) server.closeAllConnections();
    upgraded.cut();
  };
  signal.addEventListener('abort', cut, { once: true });
  if (signal.aborted) cut();
  return { port: bound.port, close };
}

function requestListener<App>(
  { routes, log, program, headers = {}, ...service }: ServerOptions<App>,
  open: Set<Exchange>,
  isClosing: () => boolean,
): RequestListener {
  const dispatch = dispatcher({ routes, ...service });
  const quiet = new Set(routes.filter((route) => route.quiet === true).map((route) => route.path));
  let kept = 0;
  const answer = async (exchange: Exchange): Promise<void> => {
    try {
      const found = await dispatch(exchange);
      const bytes = keptBytes(found);
      if (kept + bytes > keptLimitBytes && kept > 0) {
        send(exchange, failure(503, 'too many clients do not take their answers'));
        return;
      }
      kept += bytes;
      exchange.outgoing.once('close', () => (kept -= bytes));
      send(exchange, found);
    } catch (error) {
      // For example a forwarded header that Node refuses to send.
      exchange.log.error(`an answer could not be sent: ${explained(error)}`);
      exchange.outgoing.destroy();
    }
  };
  return inTurn((incoming, outgoing) => {
    const exchange = new Exchange(incoming, outgoing, log, quiet.has(incoming.url ?? ''));
    open.add(exchange);
    outgoing.once('close', () => {
      open.delete(exchange);
      exchange.end();
      if (!incoming.complete) endSoon(incoming);
    });
    for (const [name, value] of Object.entries(headers)) outgoing.setHeader(name, value);
    exchange.begin();
    if (!isClosing()) {
      void within(exchange.span, () => answer(exchange));
      return;
    }
    outgoing.setHeader('connection', 'close');
    send(exchange, failure(503, `${program} is shutting down`));
  });
}

/** The answer was sent before the end of the body, which Node reads and discards. The client may read the answer, but
 *  must not send for ever. */
function endSoon(incoming: IncomingMessage): void {
  const cut = (): void => {
    if (!incoming.complete) incoming.socket.destroy();
  };
  incoming.once('close', alarm(restMs, cut));
}

interface Draining {
  readonly servers: readonly Server[];
  readonly open: ReadonlySet<Exchange>;
  readonly upgraded: Upgraded;
  readonly log: Log;
}

async function drain({ servers, open, upgraded, log }: Draining, limitMs: number): Promise<void> {
  const closed = Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  const answered = Promise.all(
    [...open].map(({ outgoing }) => {
      // An answer that is a stream has as many listeners as Node expects at most already.
      outgoing.setMaxListeners(outgoing.getMaxListeners() + 1);
      return new Promise((resolve) => outgoing.once('close', resolve));
    }),
  );
  for (const { outgoing } of open) {
    if (!outgoing.headersSent) outgoing.setHeader('connection', 'close');
  }
  try {
    await withDeadline('closing', limitMs, never, () => Promise.all([answered, upgraded.closed()]));
  } catch {
    log.warn(`cutting off requests that did not finish in time: ${open.size + upgraded.size}`);
  }
  // The remaining connections are cut off or idle: they must not delay the end.
  for (const server of servers) server.closeAllConnections();
  upgraded.cut();
  await closed;
}
