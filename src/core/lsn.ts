/** A position in the write-ahead log: 64 bits, `0n` means none or latest. */
export type Lsn = bigint & { readonly __unit: 'lsn' };

export const noLsn = 0n as Lsn;

const shape = /^\+?([0-9a-f]+)\/\+?([0-9a-f]+)$/i;

/** Reads `high/low` in hex, either case, blanks around it allowed. Null when a half is missing or exceeds 32 bits.
 *  @see https://www.postgresql.org/docs/current/datatype-pg-lsn.html */
export function parseLsn(text: string): Lsn | null {
  const match = shape.exec(text.trim());
  if (match === null) return null;
  const [high, low] = [BigInt(`0x${match[1]}`), BigInt(`0x${match[2]}`)];
  if (high > 0xffff_ffffn || low > 0xffff_ffffn) return null;
  return ((high << 32n) | low) as Lsn;
}

/** `1/A`: upper-case hex without leading zeros, as Postgres prints it. */
export const formatLsn = (lsn: Lsn): string =>
  `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
