/** A compute with a storage of its own: main or a branch. */
export interface TreeNode {
  readonly name: string;
  /** 0 for one without a parent. */
  readonly depth: number;
  readonly state: string;
  readonly parent: string | null;
  readonly parentLsn: string | null;
  readonly createdAt: string | null;
  readonly expiresAt: string | null;
  readonly restorable: {
    readonly fromLsn: string;
    readonly fromTime: string;
    readonly toLsn: string;
  } | null;
  readonly storageBytes: number;
  readonly sharedBytes: number;
  /** Without the password. */
  readonly url: string;
  /** It sleeps when nobody uses it. */
  readonly sleeps: boolean;
}

export interface Tree {
  /** Each one after its parent. */
  readonly computes: readonly TreeNode[];
  /** Why there are none. */
  readonly error: string | null;
  /** Those that cannot be used: which, why, and what to do. */
  readonly damaged: readonly string[];
}
