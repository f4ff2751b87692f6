import { existsSync, statSync } from 'node:fs';
import { never } from '../core/abort.ts';
import { codeOf } from '../core/errors.ts';
import { poll } from '../core/poll.ts';
import { claimDir, createRoot } from './claim.ts';
import { lockDir } from './lock.ts';
import { inspectDir } from './own.ts';
import type { LocalDir } from './state.ts';

/** Whoever holds the lock of a directory that is not ours yet is about to make it ours. */
const otherMs = 10_000;
const lookMs = 20;

/** Makes a new directory ours, as `up` would; another command may be doing the same.
 *  @throws ComputeError `dir_refused`; `conflict` */
export async function ownRoot(dir: LocalDir): Promise<void> {
  let refusal: unknown;
  const owned = await poll(
    async () => {
      if (inspectDir(dir).kind === 'own') return true;
      if (!existsSync(dir.root) || !statSync(dir.root).isDirectory()) createRoot(dir);
      try {
        const lock = await lockDir(dir);
        try {
          claimDir(dir);
        } finally {
          await lock.release();
        }
        return true;
      } catch (error) {
        if (codeOf(error) !== 'conflict') throw error;
        refusal = error;
        return null;
      }
    },
    { everyMs: lookMs, limitMs: otherMs },
    never,
  );
  if (owned === null) throw refusal;
}
