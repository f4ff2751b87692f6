import { InvalidArgumentError } from 'commander';

export const megabyte = 1024 * 1024;

/** `256MB`, `1GB`, or bytes. */
export function bytes(text: string): number {
  const match = /^(\d+)\s*(kb|mb|gb)?$/i.exec(text.trim());
  const unit = { kb: 1024, mb: megabyte, gb: 1024 * megabyte }[match?.[2]?.toLowerCase() ?? ''] ?? 1;
  const value = Number(match?.[1]) * unit;
  if (match !== null && value >= 4 * megabyte && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('a size of 4MB or more is expected, e.g. 256MB');
}
