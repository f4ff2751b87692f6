import { did } from '../../config/clearer.ts';
import { ComputeError } from '../../core/errors.ts';
import { type LocalDir, type LocalState, commandFor } from '../state.ts';
import { loginOf, readAccepted } from './accepted.ts';
import { appName } from './names.ts';

/** The state with another role in place of `app`, and the first database that it owns.
 *  @param name null: `app`
 *  @throws ComputeError `not_found` with the roles that there are */
export function asRole(dir: LocalDir, state: LocalState, name: string | null): LocalState {
  if (name === null || name === state.user) return state;
  const accepted = readAccepted(dir);
  const login = loginOf(accepted, name);
  if (accepted === null || login === null) {
    const names = [appName, ...Object.keys(accepted?.logins ?? {})];
    throw new ComputeError(
      'not_found',
      `there is no role ${JSON.stringify(name)} from a compute.json${did(name, names)}`,
      {
        hint: `the roles are: ${names.join(', ')}; add one to compute.json, then: ${commandFor(dir, 'apply')}`,
      },
    );
  }
  const own = accepted.databases.find(({ owner }) => owner === name);
  return {
    ...state,
    user: name,
    password: login.password,
    passwordVerifier: login.verifier,
    database: own?.name ?? state.database,
  };
}
