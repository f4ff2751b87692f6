import { lstatSync } from 'node:fs';
import { basename } from 'node:path';
import { giveUpRoot, isRoot } from '../process/give-up-root.ts';
import { handOver } from '../process/hand-over.ts';
import { findOsUser } from '../process/os-user.ts';
import type { LocalDir } from './state.ts';

/** Started as root: becomes the user of the directory, for good, before anything in it is read. A directory that is still
 *  root's, or missing and about to be created, is handed over to `osUser` first.
 *  @param create whether the command creates the directory
 *  @throws ComputeError `os_user`, `pgdata_refused` */
export async function becomeOsUser(dir: LocalDir, osUser: string, create: boolean): Promise<void> {
  if (!isRoot()) return;
  const stat = lstatSync(dir.root, { throwIfNoEntry: false });
  const belongsToRoot = stat === undefined ? create : stat.uid === 0;
  const user = await findOsUser(stat === undefined || belongsToRoot ? osUser : stat.uid);
  if (belongsToRoot)
    handOver(dir.root, user, {
      parents: true,
      what: 'the directory',
      evidence: basename(dir.state),
    });
  giveUpRoot(user);
}
