import { type Listed, listAll, listText } from '../branches/list.ts';
import { type Damaged, listDamaged } from '../branches/tree.ts';
import { explained, hintOf, inline } from '../../core/errors.ts';
import { inspectDir } from '../own.ts';
import type { LocalDir } from '../state.ts';

/** Prints the main compute and all branches. Those that are damaged are named, with what to do.
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function list(dir: LocalDir, json: boolean): Promise<number> {
  const found = inspectDir(dir, 'stop');
  const computes: Listed[] = found.kind === 'new' ? [] : listAll(dir);
  const broken = found.kind === 'new' ? [] : listDamaged(dir);
  const damaged = broken.map(({ name, dir: { root }, error }: Damaged) => ({
    name,
    dir: root,
    message: inline(error),
    hint: hintOf(error),
  }));
  if (!json) for (const { error } of broken) process.stderr.write(`Warning: ${explained(error)}\n`);
  process.stdout.write(
    json ? `${JSON.stringify({ computes, damaged })}\n` : listText(computes, Date.now(), broken),
  );
  return 0;
}
