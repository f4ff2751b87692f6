import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type ChildProcess, fork } from 'node:child_process';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { mintToken } from '../src/client/index.ts';
import { createLog } from '../src/core/log.ts';
import { createJwtAuth } from '../src/http/jwt.ts';
import { externalRoutes } from '../src/http/routes/external.ts';
import { startServer } from '../src/http/server.ts';
import { Metrics } from '../src/metrics/registry.ts';
import { testCompute } from '../test/unit/http/compute-for-tests.ts';

// Sends GET /status and /metrics to our server and to a bare node:http server that answers the same bytes. Each server
// is a process of its own, with its log lines written to /dev/null; rounds of the two alternate.

const requests = Number(process.argv[2] ?? 10_000);
const rounds = Number(process.argv[3] ?? 5);
const connections = 8;
const warmUp = 10_000;

interface Ready {
  readonly port: number;
  readonly token: string;
}

/** The role of this process: `ours` and `bare` serve, without an argument it measures. */
const role = process.env['BENCH_ROLE'];

async function serveOurs(): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const log = createLog({ format: 'text', level: 'info' });
  const auth = createJwtAuth({
    computeId: 'compute-1',
    jwks: { keys: [publicKey.export({ format: 'jwk' })] },
    log,
  });
  const compute = testCompute('running', log);
  const { port } = await startServer({
    program: 'compute_ctl',
    name: 'external HTTP server',
    host: '127.0.0.1',
    port: 0,
    routes: externalRoutes,
    app: { compute, metrics: new Metrics() },
    status: () => compute.lifecycle.status,
    auth,
    log,
    signal: new AbortController().signal,
  });
  const token = mintToken({ key: privateKey, for: { computeId: 'compute-1' } });
  process.send?.({ port, token });
}

/** Answers what ours answered, byte for byte but for the id of the request. */
async function serveBare(): Promise<void> {
  const answers = JSON.parse(process.env['BENCH_ANSWERS'] ?? '{}') as Record<string, [string, string]>;
  const server = createServer((incoming, outgoing) => {
    const [type, body] = answers[incoming.url ?? ''] ?? ['text/plain', ''];
    outgoing
      .writeHead(200, {
        'content-type': type,
        'content-length': Buffer.byteLength(body),
        'x-request-id': '3e0a1b5e-6f0e-4b7e-8a43-0d5d2c1f7b9a',
      })
      .end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.send?.({ port: (server.address() as AddressInfo).port, token: '' });
}

async function start(serving: 'ours' | 'bare', answers: object): Promise<{ child: ChildProcess } & Ready> {
  const child = fork(fileURLToPath(import.meta.url), {
    env: { ...process.env, BENCH_ROLE: serving, BENCH_ANSWERS: JSON.stringify(answers) },
    stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
  });
  const [ready] = (await once(child, 'message')) as [Ready];
  return { child, ...ready };
}

interface Sent {
  readonly ms: number;
  readonly type: string;
  readonly body: string;
}

function get(agent: Agent, { port, token }: Ready, path: string): Promise<Sent> {
  const startMs = performance.now();
  const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const outgoing = request({ agent, host: '127.0.0.1', port, path, headers }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { statusCode, headers } = incoming;
        const type = headers['content-type'] ?? '';
        const body = Buffer.concat(chunks).toString();
        if (statusCode === 200) resolve({ ms: performance.now() - startMs, type, body });
        else reject(new Error(`${path}: ${statusCode} ${body}`));
      });
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
}

async function round(server: Ready, path: string, count: number): Promise<{ rate: number; times: number[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const times: number[] = [];
  let left = count;
  const startMs = performance.now();
  const lane = async (): Promise<void> => {
    while (left-- > 0) times.push((await get(agent, server, path)).ms);
  };
  await Promise.all(Array.from({ length: connections }, lane));
  agent.destroy();
  return { rate: (count / (performance.now() - startMs)) * 1000, times };
}

const memoryMb = ({ pid }: ChildProcess): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** User and system time of a process so far, in microseconds. */
function cpuUs({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

const at = (times: readonly number[], part: number): string =>
  (times.toSorted((a, b) => a - b)[Math.floor(times.length * part)] ?? 0).toFixed(2);

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function measure(): Promise<void> {
  const paths = ['/status', '/metrics'];
  const ours = await start('ours', {});
  const once = new Agent();
  const answers: Record<string, [string, string]> = {};
  for (const path of paths) {
    const { type, body } = await get(once, ours, path);
    answers[path] = [type, body];
  }
  const bare = await start('bare', answers);
  try {
    for (const path of paths) {
      for (const server of [ours, bare]) await round(server, path, warmUp);
      const before = memoryMb(ours.child);
      const seen = { ours: [] as number[], bare: [] as number[] };
      const times = { ours: [] as number[], bare: [] as number[] };
      const cpu = { ours: -cpuUs(ours.child), bare: -cpuUs(bare.child) };
      for (let n = 0; n < rounds; n++) {
        for (const [name, server] of [
          ['ours', ours],
          ['bare', bare],
        ] as const) {
          const result = await round(server, path, requests);
          seen[name].push(result.rate);
          times[name].push(...result.times);
        }
      }
      cpu.ours += cpuUs(ours.child);
      cpu.bare += cpuUs(bare.child);
      const share = (100 * median(seen.ours)) / median(seen.bare);
      for (const name of ['ours', 'bare'] as const) {
        console.log(
          `${path.padEnd(9)} ${name}  ${Math.round(median(seen[name])).toString().padStart(6)} requests/s` +
            `  p50 ${at(times[name], 0.5)} ms  p99 ${at(times[name], 0.99)} ms` +
            `  ${Math.round(cpu[name] / (rounds * requests))} µs of CPU each`,
        );
      }
      console.log(
        `${path.padEnd(9)} ${share.toFixed(0)} % of bare; memory ${before.toFixed(1)} MB before, ` +
          `${memoryMb(ours.child).toFixed(1)} MB after ${rounds * requests} requests\n`,
      );
    }
  } finally {
    for (const { child } of [ours, bare]) child.kill();
  }
}

await (role === 'ours' ? serveOurs() : role === 'bare' ? serveBare() : measure());
