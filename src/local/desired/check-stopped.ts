import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { ownProgram } from '../../process/own-program.ts';
import { type RunResult, runProcess } from '../../process/run-process.ts';
import type { Accepted } from './accepted.ts';
import { appName } from './names.ts';
import type { Problem } from './problem.ts';
import { type ReadFile, problemsIn } from './read.ts';
import { wantedParts } from './to-spec.ts';

const limitMs = 60_000;
/** Its answer repeats the whole spec. */
const maxBytes = 16 * 1024 * 1024;

/** Lets `compute_ctl check` judge what is wanted while nothing runs: whether this PostgreSQL knows the settings and would start
 *  with them.
 *  @param postgres path of the program
 *  @throws FileProblems `spec_invalid` */
export async function checkStopped(
  { source, desired }: ReadFile,
  wanted: Accepted,
  postgres: string,
  signal: AbortSignal,
): Promise<void> {
  const { stdout, stderr } = await check(JSON.stringify(configOf(wanted)), postgres, signal);
  const problems = errorsIn(stdout, stderr).map((text): Problem => {
    const [, name, message] = ofSetting.exec(text) ?? [];
    const key = Object.keys(desired.settings).find((one) => one.toLowerCase() === name);
    return { path: key === undefined ? [] : ['settings', key], message: message ?? text };
  });
  if (problems.length > 0) throw problemsIn(source, problems);
}

const ofSetting = /^spec\.cluster\.settings\[\d+\] \(([^)]+)\): (.*)$/s;

async function check(
  config: string,
  postgres: string,
  signal: AbortSignal,
): Promise<Pick<RunResult, 'stdout' | 'stderr'>> {
  const dir = await mkdtemp(join(tmpdir(), 'compute-local.check-'));
  try {
    const file = join(dir, 'config.json');
    await writeFile(file, config, { mode: 0o600 });
    const program = ownProgram('compute_ctl');
    const given = [`--config=${file}`, '--compute-id=compute-local', `--pgbin=${postgres}`];
    return await runProcess(
      { ...program, args: [...program.args, 'check', '--json', ...given], cwd: '/', limitMs, maxBytes },
      signal,
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** A config with nothing but what compute.json decides, and without passwords: it is written to a file. */
function configOf(wanted: Accepted): unknown {
  const app = { user: appName, database: appName, passwordVerifier: '' };
  const id = '0'.repeat(32);
  return {
    spec: {
      format_version: 1,
      suspend_timeout_seconds: 0,
      cluster: { ...wantedParts(app, { ...wanted, logins: {} }), cluster_id: 'compute-local' },
      tenant_id: id,
      timeline_id: id,
      safekeeper_connstrings: ['127.0.0.1:1'],
      pageserver_connstring: 'postgresql://no_user@127.0.0.1:1',
    },
    compute_ctl_config: { jwks: { keys: [] } },
  };
}

function errorsIn(stdout: string, stderr: string): string[] {
  let found: { errors?: { text?: unknown }[] };
  try {
    found = JSON.parse(stdout) as typeof found;
  } catch {
    // The config could not be used at all.
    const [said] = /(?<=^Error: ).*/m.exec(stderr) ?? [];
    throw new ComputeError('internal', `compute_ctl check gave no answer: ${said ?? 'it said nothing'}`);
  }
  return (found.errors ?? []).map((one) => String(one.text));
}
