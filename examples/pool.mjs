// A client with a pool that survives a database that sleeps: it does nothing about it.
//   DATABASE_URL=$(compute-local url) node examples/pool.mjs ROUNDS SECONDS
// Between two rounds it leaves its connections idle for SECONDS: with more than --suspend-after, Postgres is stopped meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const [, , rounds = '3', seconds = '3'] = process.argv;
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 3, idleTimeoutMillis: 0 });
// A connection that is lost while it is idle: the pool opens another one for the next query.
pool.on('error', (error) => process.stderr.write(`lost a connection: ${error.message}\n`));

// A prepared statement and a parameter stay, too.
const query = { name: 'now', text: 'select pg_backend_pid() as process, $1::int as round' };
await pool.query("set application_name = 'pool'");
for (let round = 1; round <= Number(rounds); round++) {
  if (round > 1) await sleep(Number(seconds) * 1000);
  const begin = performance.now();
  const { rows } = await pool.query({ ...query, values: [round] });
  const ms = Math.round(performance.now() - begin);
  process.stdout.write(`round ${rows[0].round}: server process ${rows[0].process}, ${ms} ms\n`);
}
await pool.end();
