// A pool of node-postgres: for each line of stdin, all its connections query at the same time.
import { createInterface } from 'node:readline';
import pg from 'pg';

const size = 5;
const pool = new pg.Pool({ connectionString: process.argv[2], max: size, min: size, idleTimeoutMillis: 0 });
let broken = 0;
pool.on('error', () => broken++);
const query = { name: 'add', text: 'insert into used values ($1, pg_backend_pid()) returning n' };

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const clients = await Promise.all(Array.from({ length: size }, () => pool.connect()));
    await Promise.all(clients.map((client) => client.query({ ...query, values: [`node ${line}`] })));
    for (const client of clients) client.release();
    if (broken > 0) throw new Error(`${broken} connections were lost`);
    process.stdout.write('ok\n');
  } catch (error) {
    process.stdout.write(`error: ${error}\n`);
  }
}
await pool.end();
