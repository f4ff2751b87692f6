import { ComputeError } from '../core/errors.ts';

export type PrewarmState =
  | { readonly status: 'not_prewarmed' | 'prewarming' | 'skipped' | 'cancelled' }
  | { readonly status: 'failed'; readonly error: string }
  | {
      readonly status: 'completed';
      readonly total: number;
      readonly prewarmed: number;
      readonly skipped: number;
      readonly state_download_time_ms: number;
      readonly uncompress_time_ms: number;
      readonly prewarm_time_ms: number;
    };

export type OffloadState =
  | { readonly status: 'not_offloaded' | 'offloading' | 'skipped' }
  | { readonly status: 'failed'; readonly error: string }
  | {
      readonly status: 'completed';
      readonly state_query_time_ms: number;
      readonly compress_time_ms: number;
      readonly state_upload_time_ms: number;
    };

/** The local file cache of the neon extension: filled from, and saved to, the endpoint storage. */
export interface LfcApi {
  /** False: the cache cannot be filled here, so a promotion must not wait for a prewarm. */
  readonly canPrewarm: boolean;
  prewarmState(): PrewarmState;
  /** Starts in the background. @throws ComputeError `busy` while one is under way, `wrong_status` without a spec */
  prewarm(fromEndpoint: string | null): void;
  cancelPrewarm(): void;
  offloadState(): OffloadState;
  /** Starts in the background. @throws ComputeError `busy` while one is under way, `wrong_status` without a spec */
  offload(): void;
}

/** The file cache of a compute that cannot fill or save one: its states are correct, and other requests get an error. */
export const noLfc: LfcApi = {
  canPrewarm: false,
  prewarmState: () => ({ status: 'not_prewarmed' }),
  prewarm: () => refuse('prewarming'),
  cancelPrewarm: () => {},
  offloadState: () => ({ status: 'not_offloaded' }),
  offload: () => refuse('offloading'),
};

function refuse(what: string): never {
  throw new ComputeError('not_built', `${what} the local file cache is not built yet`);
}
