/** What the storage says about itself. */
export interface StorageReport {
  /** Why commits may wait, in fixed words that anybody may read; null when nothing is wrong. */
  readonly words: string | null;
  /** The same for those who may read `/status`. */
  readonly trouble: { readonly reason: string; readonly act: string } | null;
  /** The disk is nearly full: transactions are read-only unless they ask for more. */
  readonly writesStopped: boolean;
}

/** How much was downloaded before Postgres started: a part of the start's figures. */
export interface LoadedExtensions {
  readonly num_ext_downloaded: number;
  readonly largest_ext_size: number;
  readonly total_ext_download_size: number;
  readonly load_ext_ms: number;
}
