import { lstatSync, readdirSync } from 'node:fs';
import { entryOf } from '../process/dir-fd.ts';
import { giveUpRoot, isRoot } from '../process/give-up-root.ts';
import { handOver } from '../process/hand-over.ts';
import { findOsUser } from '../process/os-user.ts';
import { madeDir, madeUpLock, proofs } from './made.ts';
import { refuseOverlap } from './overlap.ts';
import { stateIn } from './own.ts';
import type { LocalDir } from './state.ts';

/** Started as root: becomes the user of the directory, for good, before anything in it is read. A directory that is still
 *  root's, or missing and about to be created, is handed over to `osUser` first.
 *  @param create whether the command creates the directory
 *  @throws ComputeError `os_user`, `dir_refused` */
export async function becomeOsUser(dir: LocalDir, osUser: string, create: boolean): Promise<void> {
  if (!isRoot()) return;
  const stat = lstatSync(dir.root, { throwIfNoEntry: false });
  if (create) refuseOverlap(dir.root);
  const belongsToRoot = stat === undefined ? create : stat.uid === 0;
  const user = await findOsUser(stat === undefined || belongsToRoot ? osUser : stat.uid);
  // Only `up` makes an empty directory ours. A file is refused, as that.
  if (belongsToRoot && (create || stat?.isFile() === true || readdirSync(dir.root).length > 0))
    handOver(dir.root, user, {
      parents: true,
      what: 'the directory',
      code: 'dir_refused',
      former: { made: [...madeDir(null), ...proofs, madeUpLock], isOurs: isOfFormerVersion },
    });
  giveUpRoot(user);
}

/** A file of root with the state in it; a second name of it could be that of a file elsewhere. */
function isOfFormerVersion(fd: number): boolean {
  const stat = lstatSync(entryOf(fd, 'local.json'), { throwIfNoEntry: false });
  return stat?.nlink === 1 && stateIn(fd, 'local.json', 0) !== null;
}
