import { setImmediate as turn } from 'node:timers/promises';
import { type PgClient, connectPg, destroyPg, ended, loadClient } from '../../../src/pg/client.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import { never } from '../../../src/core/abort.ts';

/** A session of somebody else, which stays until it is ended. */
export const hold = async (target: PgTarget, text = 'select', name = 'holder'): Promise<PgClient> => {
  const options = { applicationName: name, connectMs: 10_000, signal: never };
  const client = await connectPg(target, options);
  client.on('error', () => {});
  await client.query(text);
  return client;
};

export const alive = (client: PgClient): Promise<boolean> =>
  client.query('select').then(
    () => true,
    () => false,
  );

/** A client that connects again at once, whenever its session is ended or refused. */
export interface Loop {
  /** How often it got in. */
  readonly entered: () => number;
  stop(): Promise<void>;
}

/** @returns when it is in for the first time */
export async function reconnecting(connect: () => Promise<PgClient>): Promise<Loop> {
  let entered = 0;
  let stopped = false;
  let current: PgClient | null = null;
  let first = (): void => {};
  const inside = new Promise<void>((resolve) => (first = resolve));
  const loop = (async () => {
    while (!stopped) {
      await turn();
      current = await connect().catch(() => null);
      if (current === null) continue;
      entered++;
      first();
      const client: PgClient = current;
      if (stopped) destroyPg(client);
      else await ended(client);
    }
  })();
  await inside;
  return {
    entered: () => entered,
    async stop() {
      stopped = true;
      if (current !== null) destroyPg(current);
      await loop;
    },
  };
}

/** Streams from a logical slot, as a consumer of changes does. */
export async function streaming(target: PgTarget, slot: string): Promise<PgClient> {
  const Client = await loadClient();
  const config = { ...target, password: 'none', replication: 'database', application_name: 'consumer' };
  const client = new Client(config);
  client.on('error', () => {});
  await client.connect();
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
  const started = new Promise<void>((resolve, reject) => {
    connection.once('replicationStart', () => resolve());
    void client.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0`).catch(reject);
    client.once('end', () => reject(new Error('ended')));
  });
  await started;
  return client;
}
