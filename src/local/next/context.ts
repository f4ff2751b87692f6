import type { Log } from '../../core/log.ts';
import type { LocalDir, LocalState } from '../state.ts';
import type { Copied } from '../storage/copying.ts';
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
  /** Nothing is prepared that would copy the data. */
  readonly onlyAdvance: boolean;
  /** How far the data is unpacked, where that takes long. */
  readonly onCopied: (copied: Copied) => void;
  readonly log: Log;
}
