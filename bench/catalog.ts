import { parseArgs } from 'node:util';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { pino } from 'pino';
import { parse } from 'valibot';
import { applyCatalog } from '../src/catalog/apply.ts';
import { type CatalogInput, catalogInput } from '../src/catalog/input.ts';
import { observe } from '../src/catalog/observe.ts';
import { planCatalog } from '../src/catalog/plan.ts';
import { defaultLimits, openSession } from '../src/catalog/session.ts';
import type { PgClient } from '../src/pg/client.ts';
import { computeSpecSchema } from '../src/spec/schema.ts';
import { type Cluster, startCluster } from '../test/support/cluster.ts';

// Applies specs with many roles and databases, and beside each, on a server of its own, sends the same statements one
// by one on one connection (and one connection to each database that has statements of its own).

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const rounds = Number(values.rounds);
const never = new AbortController().signal;
const log = pino({ level: 'silent' });

function verifier(password: string): string {
  const salt = createHash('md5').update(password).digest();
  const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$4096:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`;
}

interface Sizes {
  readonly roles: number;
  readonly databases: number;
}

function inputFor(cluster: Cluster, sizes: Sizes, changed: boolean): CatalogInput {
  const count = (base: number, more: number) =>
    Array.from({ length: base + (changed ? more : 0) }, (_, at) => at);
  const roles = count(sizes.roles, 3).map((at) => ({
    name: `role_${at}`,
    encrypted_password: verifier(`${changed && at < 5 ? 'new' : 'old'} ${at}`),
  }));
  const databases = count(sizes.databases, 2).map((at) => ({
    name: `db_${at}`,
    owner: `role_${at % sizes.roles}`,
  }));
  const cluster_ = { roles, databases };
  const spec = parse(computeSpecSchema, {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: cluster_,
  });
  const options = { target: cluster.target, privilegedRole: 'neon_superuser', stage: 'start' } as const;
  return catalogInput({ spec, timelineId: 'f7ff2504a4cdc90a60f985c58c2001c4' }, options);
}

async function ours(cluster: Cluster, input: CatalogInput): Promise<void> {
  await applyCatalog(input, { target: cluster.target, log, signal: never });
}

async function loop(cluster: Cluster, input: CatalogInput): Promise<void> {
  const open = (database: string | null): Promise<PgClient> =>
    openSession({ target: cluster.target, limits: defaultLimits, signal: never, database });
  const clients = new Map<string | null, PgClient>([[null, await open(null)]]);
  try {
    const plan = planCatalog(input, await observe(clients.get(null) as PgClient, input));
    for (const unit of plan.units) {
      const client = clients.get(unit.database) ?? (await open(unit.database));
      clients.set(unit.database, client);
      for (const statement of unit.statements) await client.query(statement.reveal());
      if (unit.database === null) continue;
      await client.end();
      clients.delete(unit.database);
    }
  } finally {
    for (const client of clients.values()) await client.end();
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const steps = ['first apply', 'unchanged re-apply', 're-apply after 10 changes'] as const;

async function measure(way: typeof ours, sizes: Sizes): Promise<number[]> {
  const cluster = await startCluster({ conf: 'fsync=on\nshared_buffers=128MB\nmax_connections=100' });
  try {
    const [input, changed] = [inputFor(cluster, sizes, false), inputFor(cluster, sizes, true)];
    // Loads the driver, as the compute has long done when it comes to the catalog.
    await (await openSession({ target: cluster.target, limits: defaultLimits, signal: never })).end();
    const first = await timed(() => way(cluster, input));
    const again: number[] = [];
    for (let at = 0; at < 5; at++) again.push(await timed(() => way(cluster, input)));
    const after = await timed(() => way(cluster, changed));
    return [first, median(again), after];
  } finally {
    await cluster.stop();
  }
}

console.log(`Milliseconds, ${rounds} rounds; fsync on, server and client on the same machine.`);
for (const sizes of [
  { roles: 100, databases: 100 },
  { roles: 1000, databases: 20 },
]) {
  const results: { ours: number[]; loop: number[] }[] = [];
  for (let round = 0; round < rounds; round++) {
    const [first, second] = round % 2 === 0 ? [ours, loop] : [loop, ours];
    const [a, b] = [await measure(first, sizes), await measure(second, sizes)];
    results.push(round % 2 === 0 ? { ours: a, loop: b } : { ours: b, loop: a });
  }
  console.log(`\n${sizes.roles} roles with SCRAM verifiers, ${sizes.databases} databases`);
  console.log(`${' '.repeat(32)}median      loop ratio        best      loop ratio`);
  steps.forEach((step, at) => {
    const [own, simple] = [results.map((one) => one.ours[at] ?? 0), results.map((one) => one.loop[at] ?? 0)];
    const row = [median(own), median(simple), Math.min(...own), Math.min(...simple)];
    const [a, b, c, d] = row.map((value) => value.toFixed(1).padStart(9));
    const ratio = (of: number, to: number): string => ((row[of] ?? 0) / (row[to] ?? 1)).toFixed(2);
    console.log(`  ${step.padEnd(26)} ${a} ${b} ${ratio(0, 1)}   ${c} ${d} ${ratio(2, 3)}`);
  });
}
