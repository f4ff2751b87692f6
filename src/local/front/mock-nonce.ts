import { endianness } from 'node:os';
import { crc32c } from '../storage/crc32c.ts';

const nonceBytes = 32;
/** Since then a flag is before it, and so three bytes of padding are between it and the checksum. */
const flagSince = 18;
/** Whose control file was looked at. */
const newest = 18;

/** The nonce from which a cluster makes the salts of roles that it does not have. It is the last field before the checksum.
 *  @param control the beginning of `pg_control`
 *  @returns null when the checksum is not found, and for a PostgreSQL that is newer than this
 *  @see src/include/catalog/pg_control.h of PostgreSQL */
export function nonceIn(control: Buffer, major: number): Buffer | null {
  if (major > newest) return null;
  const padding = major < flagSince ? 0 : 3;
  const leastBytes = 128;
  for (let at = leastBytes; at + 4 <= control.length; at += 4) {
    const stored = endianness() === 'BE' ? control.readUInt32BE(at) : control.readUInt32LE(at);
    if (crc32c(control.subarray(0, at)) !== stored) continue;
    const end = at - padding;
    return Buffer.from(control.subarray(end - nonceBytes, end));
  }
  return null;
}
