import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ControlPlane {
  readonly uri: string;
  /** The `Authorization` headers of the requests so far. */
  readonly asked: readonly (string | undefined)[];
}

/** A control plane that gives everybody the same config, for as long as `work` takes. */
export async function withControlPlane(
  config: () => object,
  work: (controlPlane: ControlPlane) => Promise<void>,
): Promise<void> {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers.authorization);
    response.end(JSON.stringify({ status: 'attached', ...config() }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work({ uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
