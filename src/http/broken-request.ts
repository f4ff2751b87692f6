import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Log } from '../core/log.ts';
import type { Exchange } from './exchange.ts';
import { requestId } from './exchange.ts';

const causes: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the head of the request is too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'the chunk extensions of the request are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request did not arrive in time'],
};

/** Answers a request that the HTTP parser refused, in the format of all errors, and closes the connection. */
export function answerBrokenRequest(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  open: ReadonlySet<Exchange>,
  log: Log,
): void {
  const answering = [...open].some(
    (exchange) => exchange.incoming.socket === socket && exchange.outgoing.headersSent,
  );
  if (error.code === 'ECONNRESET' || !socket.writable || answering) {
    socket.destroy();
    return;
  }
  const [status, message] = causes[error.code ?? ''] ?? [400, 'the request is not valid HTTP'];
  const request_id = requestId(undefined);
  log.info({ request_id, code: status }, message);
  endWith(socket, status, request_id, message);
}

/** Writes an answer directly to the socket, with an empty body when there is no message, and closes the connection.
 *  @param headers whole lines */
export function endWith(
  socket: Duplex,
  status: number,
  requestId: string,
  message?: string,
  headers: readonly string[] = [],
): void {
  const body = message === undefined ? '' : JSON.stringify({ error: message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    ...(message === undefined ? [] : ['content-type: application/json']),
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    ...headers,
    'connection: close',
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  (socket as Socket).destroySoon();
}
