import { once } from 'node:events';
import { type Server, createServer } from 'node:http';

export interface HeldPorts {
  /** Gives the ports back. */
  release(): void;
}

const answer = `${JSON.stringify({ error: 'asleep: compute_ctl does not run; the next connection to Postgres starts it' })}\n`;
const headers = { 'content-type': 'application/json', connection: 'close' };

/** Listens in place of a compute_ctl that does not run, so that nobody else takes its ports, and says why there is no answer. A port
 *  that somebody has already is left to them: the next start says so. */
export async function holdPorts(ports: readonly number[], host: string): Promise<HeldPorts> {
  const servers = await Promise.all(ports.map((port) => holdPort(port, host)));
  return {
    release() {
      for (const server of servers) {
        server?.close();
        server?.closeAllConnections();
      }
    },
  };
}

async function holdPort(port: number, host: string): Promise<Server | null> {
  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000 }, (request, response) => {
    request.resume();
    response.writeHead(503, headers).end(answer);
  });
  server.maxConnections = 100;
  try {
    server.listen({ port, host, exclusive: true });
    await once(server, 'listening');
    return server.on('error', () => {});
  } catch {
    return null;
  }
}
