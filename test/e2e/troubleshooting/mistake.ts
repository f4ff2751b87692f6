import type { ErrorCode } from '../../../src/core/errors.ts';
import type { Scene } from './scene.ts';

/** Something that an operator does wrong, or that goes wrong around him, and what he sees then. */
export interface Mistake {
  /** The code of the failure; null when it is none. */
  readonly code: ErrorCode | null;
  /** A heading: what is wrong. */
  readonly title: string;
  /** What the page says before the block: what was done, as far as the command does not show it. */
  readonly given?: string;
  /** False where this machine or user cannot provoke it. Default true. */
  readonly possible?: boolean;
  /** False where neither the answer nor the log names the code. Default true. */
  readonly showsCode?: boolean;
  /** Does it, with the real programs. @returns what the operator types and sees */
  readonly provoke: (scene: Scene) => Promise<string>;
}
