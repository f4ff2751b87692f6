import type { Log } from '../../core/log.ts';
import type { LocalDir, LocalState } from '../state.ts';
import type { GivenLimits } from '../storage/disk.ts';
import type { Tools } from '../storage/tools.ts';

/** What a preparation works with. */
export interface PrepareContext {
  readonly dir: LocalDir;
  readonly state: LocalState;
  readonly tools: Tools;
  readonly diskLimits: GivenLimits;
  /** The database may have this many bytes; null: any number. */
  readonly mostBytes: number | null;
  readonly log: Log;
}
