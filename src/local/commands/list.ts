import { type Listed, listAll, listText } from '../branches/list.ts';
import { inspectDir } from '../own.ts';
import type { LocalDir } from '../state.ts';

/** Prints the main compute and all branches.
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function list(dir: LocalDir, json: boolean): Promise<number> {
  const found = inspectDir(dir, 'stop');
  const computes: Listed[] = found.kind === 'new' ? [] : listAll(dir);
  process.stdout.write(json ? `${JSON.stringify({ computes })}\n` : listText(computes, Date.now()));
  return 0;
}
