import type { Options } from '../config/options.ts';
import { giveUpRoot, isRoot } from '../process/give-up-root.ts';
import { handOver } from '../process/hand-over.ts';
import { takeGivenFiles } from '../config/given-files.ts';
import { findOsUser } from '../process/os-user.ts';

type Named = Pick<Options, 'osUser' | 'config' | 'specPath' | 'jwks' | 'controlPlaneTokenFile'>;

/** Takes the files that the starter has opened for this program. Started as root: does what only root can do, then becomes
 *  the OS user, for good. Nothing of a spec, an archive or a request has been read by then.
 *  @param pgdata is created and handed over; null: there is no data directory
 *  @throws ComputeError `os_user`, `pgdata_refused` */
export async function becomeOsUser(
  { osUser, config, specPath, jwks, controlPlaneTokenFile }: Named,
  pgdata: string | null,
): Promise<void> {
  takeGivenFiles([config, specPath, jwks, controlPlaneTokenFile]);
  if (!isRoot()) return;
  const user = await findOsUser(osUser);
  if (pgdata !== null) handOver(pgdata, user, { what: 'the data directory' });
  giveUpRoot(user);
}
