import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import { did } from '../../config/clearer.ts';
import { lockApply } from '../lock.ts';
import { inspectDir } from '../own.ts';
import { type LocalDir, commandFor, connectionUrl, stateOf } from '../state.ts';
import { whileAwake } from '../wake.ts';
import { type Accepted, newLogin, readAccepted, writeAccepted } from './accepted.ts';
import type { Answer } from './answer.ts';
import { configure, refreshOthers, untilStarted } from './configure.ts';
import { asRole } from './login.ts';
import { appName } from './names.ts';
import { runningWriter } from './running.ts';

/** Gives a role of compute.json a new password, now and for every later start, and prints its URL. While nothing runs, the next
 *  start sets it. Sessions that are open stay.
 *  @returns the exit code
 *  @throws ComputeError `usage`, `conflict`, `not_found`, `catalog` */
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
  const before = requireRole(dir, role);
  const logins = Object.entries(before.logins).filter(([name]) => name !== role);
  const wanted = { ...before, logins: Object.fromEntries([...logins, [role, newLogin()]]) };
  const writer = runningWriter(dir);
  if (writer !== null) {
    await configure(dir, writer, { wanted, before, drop: [] }, never);
    await refreshOthers(dir, never);
  }
  writeAccepted(dir, wanted);
  const url = connectionUrl(asRole(dir, stateOf(dir), role));
  answer.progress(
    writer === null
      ? 'The next start sets the new password.'
      : 'The new password is in force; with the former one nobody can log in. Sessions that are open stay.',
  );
  answer.result({ role, running: writer !== null, url }, url);
  return 0;
}

/** @throws ComputeError `usage` for `app`, `not_found` for one that was not applied */
function requireRole(dir: LocalDir, role: string): Accepted {
  const accepted = readAccepted(dir);
  const names = (accepted?.roles ?? []).flatMap(({ name }) => (name === appName ? [] : [name]));
  if (role === appName)
    throw new ComputeError('usage', `the password of ${JSON.stringify(appName)} stays as it was made`, {
      hint: 'where it is to change, log in as a role of compute.json',
    });
  if (accepted === null || !names.includes(role))
    throw new ComputeError(
      'not_found',
      `there is no role ${JSON.stringify(role)} from a compute.json${did(role, names)}`,
      { hint: `add it to compute.json, then: ${commandFor(dir, 'apply')}` },
    );
  return accepted;
}
