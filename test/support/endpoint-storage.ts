import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface EndpointStorage {
  readonly address: string;
  /** By path. */
  readonly saved: Map<string, Buffer>;
  readonly requests: { readonly line: string; readonly token: string | undefined }[];
  /** Answers the next requests in another way. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | null;
}

/** The service that keeps the state of file caches. */
export async function startStorage(): Promise<EndpointStorage> {
  const server = createServer((request, response) => {
    const { method, url = '', headers } = request;
    it.requests.push({ line: `${method} ${url}`, token: headers.authorization });
    if (it.answer !== null) return it.answer(request, response);
    if (method === 'GET') {
      const found = it.saved.get(url);
      return void response.writeHead(found === undefined ? 404 : 200).end(found);
    }
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      it.saved.set(url, Buffer.concat(pieces));
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const it: EndpointStorage = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    saved: new Map(),
    requests: [],
    answer: null,
  };
  return it;
}
