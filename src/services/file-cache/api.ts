export interface PrewarmedPages {
  /** Pages in the state that is loaded. */
  readonly total: number;
  readonly prewarmed: number;
  readonly skipped: number;
}

export type PrewarmState =
  | { readonly status: 'not_prewarmed' | 'skipped' | 'cancelled' }
  // With figures once Postgres loads pages.
  | ({ readonly status: 'prewarming' } & Partial<PrewarmedPages>)
  | { readonly status: 'failed'; readonly error: string }
  | ({ readonly status: 'completed' } & PrewarmedPages & PrewarmTimes);

export interface PrewarmTimes {
  readonly state_download_time_ms: number;
  readonly uncompress_time_ms: number;
  readonly prewarm_time_ms: number;
}

export interface OffloadTimes {
  readonly state_query_time_ms: number;
  readonly compress_time_ms: number;
  readonly state_upload_time_ms: number;
}

export type OffloadState =
  | { readonly status: 'not_offloaded' | 'offloading' | 'skipped' }
  | { readonly status: 'failed'; readonly error: string }
  | ({ readonly status: 'completed' } & OffloadTimes);

/** The local file cache of the neon extension: filled from, and saved to, the endpoint storage. */
export interface LfcApi {
  prewarmState(): PrewarmState;
  /** Starts in the background. @throws ComputeError `busy` while one is under way, `wrong_status` without a spec,
   *  `bad_request` for an impossible id */
  prewarm(fromEndpoint: string | null): void;
  cancelPrewarm(): void;
  offloadState(): OffloadState;
  /** Starts in the background. @throws ComputeError `busy` while one is under way, `wrong_status` without a spec */
  offload(): void;
}
