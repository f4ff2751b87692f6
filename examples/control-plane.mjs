// A control plane for one database on this machine. Its compute runs only while somebody uses it.
//   node examples/control-plane.mjs DIR SECONDS PORT EXTERNAL INTERNAL
// DIR is the directory of compute-local, of which only the storage runs; the compute is stopped after so many seconds without use.
// On PORT, POST answers when the database can be used, and GET says what the compute does. EXTERNAL and INTERNAL are the
// ports of compute_ctl.
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ComputeClient, mintToken } from 'compute-ctl/client';

const log = (line) => process.stdout.write(`${line}\n`);
const dir = resolve(process.argv[2]);
const [suspendAfter, port, external, internal] = process.argv.slice(3);
const { ports } = JSON.parse(readFileSync(`${dir}/local.json`, 'utf8'));
const connstr = `postgresql://cloud_admin@localhost/postgres?host=${dir}/run&port=${ports.postgres}`;

// The compute knows the public key only. Each request has a token of its own, which expires soon.
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const jwk = { ...publicKey.export({ format: 'jwk' }), alg: 'EdDSA', use: 'sig', kid: '1' };
writeFileSync('keys.json', JSON.stringify({ keys: [jwk] }));
const key = { key: privateKey, kid: '1', for: { computeId: 'compute-1' }, expiresInSeconds: 60 };
const compute = new ComputeClient({ url: `http://127.0.0.1:${external}`, token: () => mintToken(key) });

let ended = Promise.resolve(); // the latest compute; two must not share a data directory
let running = null; // one start, however many ask for it
const wake = () => (running ??= ended.then(start));

async function start() {
  const mine = running;
  const args = ['-D', 'pgdata', '-C', connstr, '-b', 'postgres', '-i', 'compute-1', '--jwks', 'keys.json'];
  args.push('--external-http-port', external, '--internal-http-port', internal);
  const program = spawn('compute_ctl', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  ended = once(program, 'exit').then(([code]) => {
    if (running === mine) running = null;
    return code;
  });
  try {
    const late = AbortSignal.timeout(30_000);
    while (!(await compute.probe('livez').catch(() => false))) {
      late.throwIfAborted();
      await Promise.race([sleep(20), failed(ended)]);
    }
    // Asking the storage gives a new token: whatever compute had an earlier one cannot commit any more.
    const config = execFileSync(process.execPath, ['examples/stock-postgres.mjs', dir, 'keys.json']);
    await compute.configure(JSON.parse(config));
  } catch (error) {
    program.kill('SIGTERM');
    throw error;
  }
  log('running');
  void suspendWhenIdle().catch((error) => log(`not watched any more: ${error.message}`));
}

const failed = (end) => end.then((code) => Promise.reject(new Error(`compute_ctl exited with ${code}`)));

async function suspendWhenIdle() {
  const since = Date.now();
  for (;;) {
    await sleep(1000);
    const { status, last_active: used } = await compute.status();
    if (status !== 'running') return;
    if (Date.now() - Math.max(since, Date.parse(used) || 0) < suspendAfter * 1000) continue;
    running = null;
    const { lsn } = await compute.terminate('immediate');
    log(`asleep; everything up to ${lsn} is in the storage`);
    return;
  }
}

async function answerTo(method, answer) {
  const text = method === 'POST' ? await wake().then(() => 'running') : await stateOf();
  answer.end(`${text}\n`);
}

const stateOf = async () =>
  running === null ? 'asleep' : (await compute.status().catch(() => ({ status: 'starting' }))).status;

createServer(({ method }, answer) => {
  answerTo(method, answer).catch((error) => answer.writeHead(502).end(`${error.message}\n`));
}).listen(port, '127.0.0.1', () => log(`listening at http://127.0.0.1:${port}`));
process.once(
  'SIGTERM',
  () =>
    void compute
      .terminate('immediate')
      .catch(() => {})
      .finally(() => process.exit()),
);
