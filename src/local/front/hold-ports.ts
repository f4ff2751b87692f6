import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import { ComputeError } from '../../core/errors.ts';
import { isFree } from '../ports.ts';
import { type AsleepFacts, asleepAnswer } from './asleep-answers.ts';

export interface HeldPorts {
  /** Gives the ports back. */
  release(): void;
}

/** Listens in place of a compute_ctl that does not run, so that nobody else takes its ports, and says so. A port that somebody has
 *  already is left to them: the next start says so.
 *  @param hosts an address that the machine does not have is left out */
export async function holdPorts(
  ports: readonly number[],
  hosts: readonly string[],
  facts: () => AsleepFacts,
): Promise<HeldPorts> {
  const places = ports.flatMap((port) => hosts.map((host) => ({ port, host })));
  const servers = await Promise.all(places.map(({ port, host }) => holdPort(port, host, facts)));
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

/** The port that another program has taken while nobody held it. @returns null: none of them */
export async function takenPort(ports: readonly number[]): Promise<ComputeError | null> {
  for (const port of ports)
    if (!(await isFree(port)))
      return new ComputeError(
        'port',
        `another program uses port ${port}, which is for the HTTP API of compute_ctl`,
        {
          hint: `stop that program (ss -ltnp names it); Postgres is started as soon as the port is free`,
        },
      );
  return null;
}
