import { linked } from '../../core/abort.ts';
import { raceAbort, withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { endChild, termThenKill } from '../../process/end.ts';
import { ownProgram } from '../../process/own-program.ts';
import { startProcess } from '../../process/process.ts';
import type { Accepted } from './accepted.ts';
import { appName } from './names.ts';
import { wantedParts } from './to-spec.ts';

const limitMs = 60_000;

/** Lets `compute_ctl check` judge what is wanted while nothing runs: whether this PostgreSQL knows the settings and would start
 *  with them. The spec goes through a pipe, since it has verifiers of passwords.
 *  @param postgres path of the program
 *  @throws ComputeError `spec_invalid` with a line for each problem */
export async function checkStopped(wanted: Accepted, postgres: string, signal: AbortSignal): Promise<void> {
  const program = ownProgram('compute_ctl');
  const child = await startProcess({
    ...program,
    args: [...program.args, 'check', '--json', '--config=/dev/stdin', `--pgbin=${postgres}`],
    cwd: '/',
    stdin: 'pipe',
    stderr: 'ignore',
  });
  const over = linked(signal);
  try {
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stdin?.end(JSON.stringify(configOf(wanted)));
    await withDeadline('compute_ctl check', limitMs, over.signal, (limited) =>
      raceAbort(child.closed, limited),
    );
    const errors = errorsIn(Buffer.concat(chunks).toString('utf8'));
    if (errors.length > 0)
      throw new ComputeError('spec_invalid', errors.join('\n'), {
        hint: 'correct compute.json; nothing was changed',
      });
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
      pageserver_connstring: 'postgresql://no_user@127.0.0.1:1',
    },
    compute_ctl_config: { jwks: { keys: [] } },
  };
}

function errorsIn(text: string): string[] {
  let found: { errors?: { text?: unknown }[] };
  try {
    found = JSON.parse(text) as typeof found;
  } catch (cause) {
    throw new ComputeError('internal', 'compute_ctl check gave no answer', { cause });
  }
  return (found.errors ?? []).map((one) => String(one.text));
}
