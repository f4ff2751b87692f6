/** The options of a start that its restart has, too. Ports, addresses and history have members of their own in the state. */
export interface Started {
  readonly pgBinDir: string | null;
  /** Bytes. */
  readonly compactAt: number;
  readonly warnFree: number | null;
  readonly stopFree: number | null;
  /** Seconds; 0: never. */
  readonly suspendAfter: number;
  readonly suspendHardAfter: number;
  readonly suspendIgnore: string;
  /** Bytes. */
  readonly prepareAtMost: number | null;
}

/** Of the options of `up`. */
export const startedWith = ({
  pgBinDir,
  compactAtBytes,
  warnFree,
  stopFree,
  suspendAfter,
  suspendHardAfter,
  suspendIgnore,
  prepareAtMost,
}: Omit<Started, 'compactAt'> & { readonly compactAtBytes: number }): Started => ({
  ...{ pgBinDir, compactAt: compactAtBytes, warnFree, stopFree },
  ...{ suspendAfter, suspendHardAfter, suspendIgnore, prepareAtMost },
});
