// Runs programs of a build for a moment, so that its code is compiled once, here, instead of at every start.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { computeOf, controlPlaneOf, withStorage } from './local-storage.mjs';
import { root } from './run.mjs';

/** Of each program. */
const limitMs = 60_000;
/** For as long the monitor is recorded. */
const watchedMs = 1500;

/** What is run, and where its code goes.
 *  @typedef {object} Recording
 *  @property {readonly string[]} node the command that starts Node
 *  @property {string} [recorder] where record.cjs is, for those who are bundled elsewhere
 *  @property {readonly string[]} programs
 *  @property {readonly string[]} local the command that starts compute-local
 *  @property {(program: string) => string} bundle its path
 *  @property {(program: string) => string} cache the path of what is recorded
 *  @property {boolean} [commands] also the short commands of compute-local
 *  @property {number} [patience] how many times as long as usual it may take */

/** @param {Recording} recording */
function record({ node: [command, ...before], recorder, bundle, cache, patience = 1 }, program, args, env) {
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
    { stdio: ['ignore', 'ignore', 'pipe'], timeout: limitMs * patience, killSignal: 'SIGKILL', env },
  );
}

/** Runs short commands of compute-local beside a compute that runs, one after the other: each adds what it needs. */
async function recordCommands(recording, dir) {
  if (recording.commands !== true) return;
  writeFileSync(join(dir, 'compute.json'), composed, { mode: 0o644 });
  for (const command of ['plan', 'status', 'url']) {
    const env = { ...process.env, RECORD_ADDS: '1' };
    const child = record(recording, 'compute-local', [command, '--dir', dir], env);
    child.stderr.resume();
    await once(child, 'exit');
  }
}

/** Something of every part. */
const composed = `{
  "roles": [{ "name": "web", "connection_limit": 5 }], // as a user writes it
  "databases": [{ "name": "shop", "owner": "web" }],
  "extensions": ["hstore"],
  "settings": { "work_mem": "64MB" },
}
`;

/** Runs compute_ctl until it says so, asks it some things, lets it look after Postgres for a moment, and stops it.
 *  @param beside what is done before it is stopped */
async function recordCompute(recording, args, env, isThere, beside = async () => {}) {
  const child = record(recording, 'compute_ctl', args, env);
  const said = [];
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    if (!isThere(line)) continue;
    const port = said
      .map((each) => /external HTTP server listening at .*:(\d+)/.exec(each)?.[1])
      .find(Boolean);
    for (const path of ['livez', 'readyz', 'metrics', 'status']) {
      const signal = AbortSignal.timeout(limitMs);
      await (await fetch(`http://127.0.0.1:${port}/${path}`, { signal })).text();
    }
    await setTimeout(watchedMs);
    await beside();
    child.kill('SIGTERM');
  }
  if (child.exitCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`compute_ctl failed:\n${said.join('\n')}`);
}

/** A whole start on the storage of compute-local. */
const recordStart = (recording, dir) =>
  withStorage(
    recording.local,
    dir,
    (state, postgres) => {
      const { args, env } = computeOf(state, dir, postgres);
      const given = [...args, '-p', controlPlaneOf(state)];
      const isThere = (line) => line.includes('compute start finished');
      return recordCompute(recording, given, env, isThere, () => recordCommands(recording, dir));
    },
    limitMs * (recording.patience ?? 1),
  );

/** An empty compute: as far as a start gets without PostgreSQL. */
function recordEmpty(recording, dir) {
  const postgres = join(dir, 'postgres');
  writeFileSync(postgres, '#!/bin/sh\necho "postgres (PostgreSQL) 15.0"\n', { mode: 0o755 });
  const args = [
    ...['-D', join(dir, 'empty'), '-C', 'postgresql://cloud_admin@127.0.0.1:1/postgres', '-b', postgres],
    ...['--os-user', 'nobody', '--external-http-port', '0', '--internal-http-port', '0'],
  ];
  return recordCompute(recording, args, process.env, (line) =>
    line.includes('external HTTP server listening'),
  );
}

/** What a start runs is compiled here, so a start is what runs here. Twice, since a port may be taken by whoever else looks for one
 *  at the same moment. */
const recordBest = (recording, scratch) =>
  recordStart(recording, join(scratch, 'first'))
    .catch(() => recordStart(recording, join(scratch, 'second')))
    .catch((error) => {
      console.warn(
        `only the beginning of a start has compiled code, the rest takes longer: ${error.message.trim()}`,
      );
      return recordEmpty(recording, scratch);
    });

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

const isCompute = (program) => program === 'compute_ctl';
const isOther = (program) => !isCompute(program);

/** @param {Recording} recording
 *  @throws when a program could not be run. Without compiled code it is slower and otherwise the same */
export async function recordAll(recording) {
  const scratch = mkdtempSync(join(tmpdir(), 'compute-ctl-build-'));
  chmodSync(scratch, 0o755);
  try {
    const how = {
      compute_ctl: () => recordBest(recording, scratch),
      'compute-local': () => recordShort('compute-local', 'status', '--dir', join(scratch, 'none')),
      'vm-monitor': () => recordShort('vm-monitor', '--help'),
      'grpc-js.late': () => recordShort('grpc-js.late'),
    };
    const recordShort = (program, ...args) => once(record(recording, program, args), 'exit');
    // Last: it needs the processors for itself, and compute-local.
    const [computes, others] = [recording.programs.filter(isCompute), recording.programs.filter(isOther)];
    await Promise.all(others.map((program) => how[program]()));
    for (const program of computes) await how[program]();
    await Promise.all(recording.programs.map((program) => accepted(recording, program)));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
