import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import { type AsleepFacts, asleepAnswer } from './asleep-answers.ts';

export interface HeldPorts {
  /** Gives the ports back. */
  release(): void;
}

/** Listens in place of a compute_ctl that does not run, so that nobody else takes its ports, and says so. A port that somebody has
 *  already is left to them: the next start says so. */
export async function holdPorts(
  ports: readonly number[],
  host: string,
  facts: () => AsleepFacts,
): Promise<HeldPorts> {
  const servers = await Promise.all(ports.map((port) => holdPort(port, host, facts)));
  return {
    release() {
      for (const server of servers) {
        server?.close();
        server?.closeAllConnections();
      }
    },
  };
}

async function holdPort(port: number, host: string, facts: () => AsleepFacts): Promise<Server | null> {
  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000 }, (request, response) => {
    request.resume();
    const { status, type, text } = asleepAnswer(request.url ?? '', facts());
    response.writeHead(status, { 'content-type': type, connection: 'close' }).end(text);
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
