/** The archive is damaged, or is not a tar archive. */
export class TarError extends Error {
  override readonly name = 'TarError';
}
