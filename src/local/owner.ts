import { existsSync, lstatSync } from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import { findOsUser } from '../process/os-user.ts';
import type { LocalDir } from './state.ts';

/** Its files can be read by their owner only, so that another user would see nothing, or only a part.
 *  @throws ComputeError `os_user` naming the owner */
export async function requireOwner({ root, state }: LocalDir): Promise<void> {
  const uid = process.getuid?.();
  if (uid === undefined || !existsSync(state)) return;
  const owner = lstatSync(state).uid;
  if (owner === uid) return;
  const name = owner === 0 ? 'root' : await findOsUser(owner).then(nameOf, () => `with uid ${owner}`);
  throw new ComputeError('os_user', `the database in ${root} belongs to the user ${name}`, {
    hint: 'run the command as that user, or as root, or choose your own directory with --dir',
  });
}

const nameOf = ({ name }: { readonly name: string }): string => name;
