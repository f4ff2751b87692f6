// Runs each built program for a moment, so that its code is compiled once, here, instead of at every start.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './run.mjs';

const limitMs = 20_000;

const record = (program, args, env = {}) =>
  spawn(
    process.execPath,
    [join(root, 'scripts/record.cjs'), join(root, `dist/${program}.bundle.js`), ...args],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: limitMs,
      killSignal: 'SIGKILL',
      env: { ...process.env, ...env },
    },
  );

/** An empty compute that listens, answers and is stopped: as far as a start gets without storage. */
async function recordCompute(scratch) {
  const postgres = join(scratch, 'postgres');
  writeFileSync(postgres, '#!/bin/sh\necho "postgres (PostgreSQL) 15.0"\n', { mode: 0o755 });
  const child = record('compute_ctl', [
    ...['-D', join(scratch, 'pgdata'), '-C', 'postgresql://cloud_admin@127.0.0.1:1/postgres', '-b', postgres],
    ...['--os-user', 'nobody', '--external-http-port', '0', '--internal-http-port', '0'],
  ]);
  for await (const line of createInterface({ input: child.stderr })) {
    const port = /external HTTP server listening at .*:(\d+)/.exec(line)?.[1];
    if (port === undefined) continue;
    for (const path of ['livez', 'metrics', 'status']) {
      await (await fetch(`http://127.0.0.1:${port}/${path}`)).text();
    }
    child.kill('SIGTERM');
  }
}

/** Without compiled code the programs are slower and otherwise the same: a failure here is no failure of the build. */
export async function recordAll() {
  const scratch = mkdtempSync(join(tmpdir(), 'compute-ctl-build-'));
  chmodSync(scratch, 0o755);
  try {
    const short = [
      record('compute-local', ['status', '--dir', join(scratch, 'none')]),
      record('vm-monitor', ['--help']),
    ];
    await Promise.all([recordCompute(scratch), ...short.map((child) => once(child, 'exit'))]);
  } catch (error) {
    console.warn(`no compiled code was recorded: ${error.message}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
