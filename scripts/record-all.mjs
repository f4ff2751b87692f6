// Runs programs of a build for a moment, so that its code is compiled once, here, instead of at every start.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './run.mjs';

const limitMs = 20_000;

/** What is run, and where its code goes.
 *  @typedef {object} Recording
 *  @property {readonly string[]} node the command that starts Node
 *  @property {string} [recorder] where record.cjs is, for those who are bundled elsewhere
 *  @property {readonly string[]} programs
 *  @property {(program: string) => string} bundle its path
 *  @property {(program: string) => string} cache the path of what is recorded
 *  @property {number} [patience] how many times as long as usual it may take */

/** @param {Recording} recording */
function record({ node: [command, ...before], recorder, bundle, cache, patience = 1 }, program, args) {
  return spawn(
    command,
    [
      ...before,
      recorder ?? join(root, 'scripts/record.cjs'),
      bundle(program),
      cache(program),
      program,
      ...args,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], timeout: limitMs * patience, killSignal: 'SIGKILL' },
  );
}

/** An empty compute that listens, answers and is stopped: as far as a start gets without storage. */
async function recordCompute(recording, scratch) {
  const postgres = join(scratch, 'postgres');
  writeFileSync(postgres, '#!/bin/sh\necho "postgres (PostgreSQL) 15.0"\n', { mode: 0o755 });
  const child = record(recording, 'compute_ctl', [
    ...['-D', join(scratch, 'pgdata'), '-C', 'postgresql://cloud_admin@127.0.0.1:1/postgres', '-b', postgres],
    ...['--os-user', 'nobody', '--external-http-port', '0', '--internal-http-port', '0'],
  ]);
  const said = [];
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    const port = /external HTTP server listening at .*:(\d+)/.exec(line)?.[1];
    if (port === undefined) continue;
    for (const path of ['livez', 'metrics', 'status']) {
      await (await fetch(`http://127.0.0.1:${port}/${path}`)).text();
    }
    child.kill('SIGTERM');
  }
  if (child.exitCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`compute_ctl failed:\n${said.join('\n')}`);
}

/** V8 says nothing of code that it does not take; every start would just be slower. */
async function accepted({ node: [command, ...before], bundle, cache }, program) {
  const check = `const [bundle, cache] = process.argv.slice(1).map((file) => fs.readFileSync(file));
    const text = bundle.latin1Slice();
    const source = text.startsWith('(function (exports') ? text : '(function (exports, require, module, __filename, __dirname) {' + text + '\\n})';
    process.exitCode = new vm.Script(source, { cachedData: cache }).cachedDataRejected ? 1 : 0;`;
  const child = spawn(command, [...before, '-e', check, bundle(program), cache(program)], {
    stdio: 'ignore',
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`V8 does not take the code of ${program} that it has compiled`);
}

/** @param {Recording} recording
 *  @throws when a program could not be run. Without compiled code it is slower and otherwise the same */
export async function recordAll(recording) {
  const scratch = mkdtempSync(join(tmpdir(), 'compute-ctl-build-'));
  chmodSync(scratch, 0o755);
  try {
    const how = {
      compute_ctl: () => recordCompute(recording, scratch),
      'compute-local': () => recordShort('compute-local', 'status', '--dir', join(scratch, 'none')),
      'vm-monitor': () => recordShort('vm-monitor', '--help'),
      'grpc-js.late': () => recordShort('grpc-js.late'),
    };
    const recordShort = (program, ...args) => once(record(recording, program, args), 'exit');
    await Promise.all(recording.programs.map((program) => how[program]()));
    await Promise.all(recording.programs.map((program) => accepted(recording, program)));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
