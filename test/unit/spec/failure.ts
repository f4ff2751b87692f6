import { ComputeError } from '../../../src/core/errors.ts';

/** The error that `work` rejects with; it must be one of ours. */
export async function failure(work: Promise<unknown>): Promise<ComputeError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ComputeError)) throw new Error('it did not fail as expected', { cause: error });
  return error;
}
