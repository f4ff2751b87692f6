import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { pino } from 'pino';
import { parse } from 'valibot';
import { type CatalogDeps, applyCatalog } from '../../../src/catalog/apply.ts';
import { type CatalogInput, catalogInput } from '../../../src/catalog/input.ts';
import type { CatalogResult } from '../../../src/catalog/result.ts';
import { withPg } from '../../../src/pg/client.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import { computeSpecSchema } from '../../../src/spec/schema.ts';
import type { Cluster } from '../../support/cluster.ts';

export const timeline = 'f7ff2504a4cdc90a60f985c58c2001c4';
export const never = new AbortController().signal;

export interface SpecParts {
  readonly roles?: readonly object[];
  readonly databases?: readonly object[];
  readonly settings?: readonly object[];
  readonly [field: string]: unknown;
}

/** What the catalog pass gets for a spec of these parts. */
export function inputFor(
  target: PgTarget,
  { roles = [], databases = [], settings = [], ...rest }: SpecParts,
  options: Partial<Pick<CatalogInput, 'stage' | 'verify' | 'privilegedRole' | 'lakebase'>> = {},
): CatalogInput {
  const spec = parse(computeSpecSchema, {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: { roles, databases, settings },
    ...rest,
  });
  return catalogInput(
    { spec, timelineId: timeline },
    { target, privilegedRole: 'neon_superuser', stage: 'start', ...options },
  );
}

export const silent = pino({ level: 'silent' });

export const apply = (
  cluster: Cluster,
  input: CatalogInput,
  deps: Partial<CatalogDeps> = {},
): Promise<CatalogResult> =>
  applyCatalog(input, { target: cluster.target, log: silent, signal: never, ...deps });

export async function query<T = Record<string, unknown>>(
  target: PgTarget,
  text: string,
  values: readonly unknown[] = [],
): Promise<T[]> {
  const options = { applicationName: 'test', connectMs: 10_000, queryMs: 30_000, signal: never };
  return withPg(target, options, async (pg) => (await pg.query(text, [...values])).rows as T[]);
}

/** The only column of the only row. */
export async function value(
  target: PgTarget,
  text: string,
  values: readonly unknown[] = [],
): Promise<unknown> {
  const [row] = await query(target, text, values);
  return row === undefined ? undefined : Object.values(row)[0];
}

/** A verifier as the server makes it. */
export function scram(password: string, salt = 'salt of the test'): string {
  const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const saltText = Buffer.from(salt).toString('base64');
  return `SCRAM-SHA-256$4096:${saltText}$${stored}:${hmac('Server Key').toString('base64')}`;
}

/** The spec's form: without the prefix. */
export const md5 = (password: string, role: string): string =>
  createHash('md5')
    .update(password + role)
    .digest('hex');

/** Runs `work` and fails when it made the server write. No transaction got an id, which is exact; and the WAL did not
 *  grow, which takes a few tries, because reading may clean up pages and the server writes a record now and then. */
export async function withoutWrite(cluster: Cluster, work: () => Promise<unknown>): Promise<void> {
  const transactions = (): Promise<unknown> =>
    value(cluster.target, 'select pg_snapshot_xmax(pg_current_snapshot())::text');
  const position = (): Promise<unknown> => value(cluster.target, 'select pg_current_wal_insert_lsn()::text');
  const log = cluster.log().length;
  for (let tries = 1; ; tries++) {
    const before = { transactions: await transactions(), position: await position() };
    await work();
    const after = { transactions: await transactions(), position: await position() };
    if (after.transactions !== before.transactions) throw new Error('a transaction was given an id');
    if (after.position === before.position) break;
    if (tries === 5) throw new Error('the WAL grew every time');
  }
  if (cluster.log().slice(log).includes('statement:'))
    throw new Error('a statement that modifies was logged');
}
