import type { Lsn } from '../core/lsn.ts';

/** The messages of the pageserver's gRPC service that a compute needs, in proto3's binary encoding.
 *  @see https://protobuf.dev/programming-guides/encoding/ */
export const method = {
  getBaseBackup: '/page_api.PageService/GetBaseBackup',
  leaseLsn: '/page_api.PageService/LeaseLsn',
} as const;

/** The server refuses 0, the default; 1 means no compression. */
const gzip = 2;

/** @param lsn `0/0` for the latest */
export function encodeBaseBackupRequest({ lsn, replica }: { lsn: Lsn; replica: boolean }): Buffer {
  const at = lsn === 0n ? [] : [0x08, ...varint(lsn)];
  return Buffer.from([...at, ...(replica ? [0x10, 1] : []), 0x20, gzip]);
}

export const encodeLeaseRequest = (lsn: Lsn): Buffer => Buffer.from([0x08, ...varint(lsn)]);

/** The payload of one message of a base backup; empty when the message has none. @throws Error */
export function decodeChunk(message: Buffer): Buffer {
  const chunks = [...fields(message)].filter(({ number }) => number === 1).map(({ value }) => value);
  const last = chunks.at(-1) ?? Buffer.alloc(0);
  if (typeof last === 'bigint') throw new Error('a chunk of the base backup does not contain bytes');
  return last;
}

/** When a lease ends, in milliseconds since 1970; null when the message has no such field. @throws Error */
export function decodeLease(message: Buffer): number | null {
  let expires: Map<number, bigint> | null = null;
  for (const { number, value } of fields(message)) {
    if (number !== 1) continue;
    if (typeof value === 'bigint') throw new Error('the end of a lease is not a timestamp');
    expires ??= new Map();
    for (const part of fields(value))
      if (typeof part.value === 'bigint') expires.set(part.number, part.value);
  }
  if (expires === null) return null;
  const seconds = BigInt.asIntN(64, expires.get(1) ?? 0n);
  const nanos = BigInt.asIntN(32, expires.get(2) ?? 0n);
  return Number(seconds) * 1000 + Number(nanos) / 1e6;
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

/** All fields, also unknown ones from later versions. Numbers are returned as bigint, all other values as bytes. */
function* fields(message: Buffer): Generator<{ number: number; value: bigint | Buffer }> {
  const reader = { message, at: 0 };
  while (reader.at < message.length) {
    const key = Number(readVarint(reader));
    const wireType = key & 7;
    const number = key >>> 3;
    if (wireType === 0) yield { number, value: readVarint(reader) };
    else if (wireType === 2) yield { number, value: readBytes(reader, Number(readVarint(reader))) };
    else if (wireType === 1) yield { number, value: readBytes(reader, 8) };
    else if (wireType === 5) yield { number, value: readBytes(reader, 4) };
    else throw new Error(`a message has a field of the unknown wire type ${wireType}`);
  }
}

interface Reader {
  readonly message: Buffer;
  at: number;
}

function readVarint(reader: Reader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.message[reader.at++];
    if (byte === undefined) throw new Error('a message is cut off');
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  throw new Error('a number in a message is too long');
}

function readBytes(reader: Reader, length: number): Buffer {
  const end = reader.at + length;
  if (end > reader.message.length) throw new Error('a message is cut off');
  const bytes = reader.message.subarray(reader.at, end);
  reader.at = end;
  return bytes;
}
