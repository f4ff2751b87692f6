import { linked } from '../../core/abort.ts';
import { raceAbort, withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { endChild, termThenKill } from '../../process/end.ts';
import { ownProgram } from '../../process/own-program.ts';
import { startProcess } from '../../process/process.ts';
import type { Accepted } from './accepted.ts';
import { appName } from './names.ts';
import type { Problem } from './problem.ts';
import { type ReadFile, problemsIn } from './read.ts';
import { wantedParts } from './to-spec.ts';

const limitMs = 60_000;

/** Lets `compute_ctl check` judge what is wanted while nothing runs: whether this PostgreSQL knows the settings and would start
 *  with them. The spec goes through a pipe, since it has verifiers of passwords.
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
): Promise<{ stdout: string; stderr: string }> {
  const program = ownProgram('compute_ctl');
  const given = ['--config=/dev/stdin', '--compute-id=compute-local', `--pgbin=${postgres}`];
  const child = await startProcess({
    ...program,
    args: [...program.args, 'check', '--json', ...given],
    cwd: '/',
    stdin: 'pipe',
  });
  const over = linked(signal);
  try {
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
      const chunks: Buffer[] = [];
      stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
      return chunks;
    });
    child.stdin?.end(config);
    await withDeadline('compute_ctl check', limitMs, over.signal, (limited) =>
      raceAbort(child.closed, limited),
    );
    const text = (chunks: Buffer[] = []): string => Buffer.concat(chunks).toString('utf8');
    return { stdout: text(stdout), stderr: text(stderr) };
  } finally {
    over.release();
    if (child.exit === null) await endChild(child, termThenKill(1000), signal);
  }
}

/** A config with nothing but what compute.json decides. */
function configOf(wanted: Accepted): unknown {
  const app = { user: appName, database: appName, passwordVerifier: '' };
  const id = '0'.repeat(32);
  return {
    spec: {
      format_version: 1,
      suspend_timeout_seconds: 0,
      cluster: { cluster_id: 'compute-local', ...wantedParts(app, wanted) },
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
