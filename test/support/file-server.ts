import { createHash } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a server of files goes wrong, once for each request in turn; after the last one, no more. */
export type Fault =
  | number // answers with this status
  | { readonly cutAfter: number } // closes the connection after so many bytes
  | { readonly stopsAfter: number } // sends no more after so many bytes
  | { readonly location: string } // redirects
  | 'endless' // sends without an end
  | 'no-range' // sends the whole file, whatever was asked for
  | 'wrong-range' // sends another part than the one asked for
  | 'short-range' // sends less than the part that was asked for, and says so
  | 'unasked-range' // sends the first ten bytes only, and says so
  | 'silent' // takes the request and never answers
  | 'changed' // has another version of the file from now on
  | 'wrong-digest';

export interface FileServer {
  readonly url: string;
  /** Requests so far. */
  readonly requests: readonly IncomingMessage[];
  stop(): void;
}

/** A server of one file that knows ranges, entity tags and digests. */
export async function startFileServer(
  content: Buffer,
  faults: readonly Fault[] = [],
  headers: Readonly<Record<string, string>> = {},
): Promise<FileServer> {
  const requests: IncomingMessage[] = [];
  let current = content;
  const server = createServer((request, response) => {
    const fault = faults[requests.push(request) - 1];
    if (fault === 'changed') current = Buffer.concat([Buffer.from('new'), content]);
    answer(request, response, { content: current, fault: fault ?? null, headers });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`,
    requests,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

interface Answering {
  readonly content: Buffer;
  readonly fault: Fault | null;
  readonly headers: Readonly<Record<string, string>>;
}

function answer(request: IncomingMessage, response: ServerResponse, given: Answering): void {
  const { content, fault, headers } = given;
  if (typeof fault === 'number') return void response.writeHead(fault).end('no');
  if (fault === 'silent') return;
  if (fault instanceof Object && 'location' in fault)
    return void response.writeHead(302, { location: fault.location }).end();
  const sha256 = createHash('sha256')
    .update(fault === 'wrong-digest' ? 'another' : content)
    .digest('base64');
  const etag = `"${createHash('md5').update(content).digest('hex')}"`;
  const from = rangeOf(request, etag, fault);
  const shown = from + (fault === 'wrong-range' ? 1 : 0);
  const size = content.length;
  const end = endOf(from, size, fault);
  const isPart = from > 0 || end < size;
  const range = isPart ? { 'content-range': `bytes ${shown}-${end - 1}/${size}` } : {};
  const length = fault === 'endless' ? {} : { 'content-length': String(end - from) };
  response.writeHead(isPart ? 206 : 200, {
    etag,
    'repr-digest': `sha-256=:${sha256}:`,
    ...length,
    ...range,
    ...headers,
  });
  send(response, content.subarray(from, end), fault);
}

/** After the last byte that is sent. */
function endOf(from: number, size: number, fault: Fault | null): number {
  if (fault === 'unasked-range') return 10;
  return fault === 'short-range' ? from + Math.ceil((size - from) / 2) : size;
}

/** The first byte that is sent. */
function rangeOf({ headers }: IncomingMessage, etag: string, fault: Fault | null): number {
  const asked = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  return fault === 'no-range' || headers['if-range'] !== etag ? 0 : asked;
}

function send(response: ServerResponse, rest: Buffer, fault: Fault | null): void {
  if (fault === 'endless') {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on('drain', more);
    return more();
  }
  if (fault instanceof Object && 'cutAfter' in fault)
    return void response.write(rest.subarray(0, fault.cutAfter), () => response.socket?.destroySoon());
  if (fault instanceof Object && 'stopsAfter' in fault)
    return void response.write(rest.subarray(0, fault.stopsAfter));
  response.end(rest);
}
