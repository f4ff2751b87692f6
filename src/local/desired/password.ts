import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import { did } from '../../config/clearer.ts';
import { lockApply } from '../lock.ts';
import { inspectDir } from '../own.ts';
import { type LocalDir, commandFor, connectionUrl, stateOf, writeState } from '../state.ts';
import { whileAwake } from '../wake.ts';
import { type Accepted, newLogin, readAccepted, writeAccepted } from './accepted.ts';
import type { Answer } from './answer.ts';
import { putInForce, untilStarted } from './configure.ts';
import { asRole } from './login.ts';
import { appName } from './names.ts';
import { runningWriter } from './running.ts';

/** Gives `app` or a role of compute.json a new password, now and for every later start, and prints its URL. While nothing runs, the next
 *  start sets it. Sessions that are open stay.
 *  @returns the exit code
 *  @throws ComputeError `conflict`, `not_found`, `catalog` */
export async function password(dir: LocalDir, role: string, answer: Answer): Promise<number> {
  inspectDir(dir, 'stop');
  requireRole(dir, role);
  const lock = await lockApply(dir);
  try {
    return await whileAwake(dir, 'password', never, () => locked(dir, role, answer));
  } finally {
    await lock.release();
  }
}

async function locked(dir: LocalDir, role: string, answer: Answer): Promise<number> {
  await untilStarted(dir, answer, never);
  const accepted = requireRole(dir, role);
  const { keep, ...asked } = accepted === null ? ofApp(dir) : ofRole(dir, accepted, role);
  const writer = runningWriter(dir);
  if (writer === null) keep();
  else await putInForce(dir, writer, asked, keep, never);
  const url = connectionUrl(asRole(dir, stateOf(dir), role));
  answer.progress(
    writer === null
      ? 'The next start sets the new password.'
      : 'The new password is in force; with the former one nobody can log in. Sessions that are open stay.',
  );
  answer.result({ role, running: writer !== null, url }, url);
  return 0;
}

/** What the compute is asked for, and what keeps it for later starts. */
type Change = Parameters<typeof putInForce>[2] & { readonly keep: () => void };

function ofRole(dir: LocalDir, before: Accepted, role: string): Change {
  const logins = Object.entries(before.logins).filter(([name]) => name !== role);
  const wanted = { ...before, logins: Object.fromEntries([...logins, [role, newLogin()]]) };
  return { wanted, before, keep: () => writeAccepted(dir, wanted) };
}

/** It is in local.json, since it is there without a compute.json. */
function ofApp(dir: LocalDir): Change {
  const { password, verifier } = newLogin();
  const app = { password, passwordVerifier: verifier };
  const before = readAccepted(dir);
  return { wanted: before, before, app, keep: () => writeState(dir, { ...stateOf(dir), ...app }) };
}

/** Null for `app`. @throws ComputeError `conflict` when there is no compute, `not_found` for a role that was not applied */
function requireRole(dir: LocalDir, role: string): Accepted | null {
  if (role === stateOf(dir).user) return null;
  const accepted = readAccepted(dir);
  const names = [appName, ...(accepted?.roles ?? []).flatMap(({ name }) => (name === appName ? [] : [name]))];
  if (accepted === null || !names.includes(role))
    throw new ComputeError(
      'not_found',
      `there is no role ${JSON.stringify(role)} from a compute.json${did(role, names)}`,
      { hint: `add it to compute.json, then: ${commandFor(dir, 'apply')}` },
    );
  return accepted;
}
