import { assert, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { type Lsn, noLsn } from '../../../src/core/lsn.ts';
import { parseGrpcUrl } from '../../../src/storage/grpc.ts';
import {
  decodeChunk,
  decodeLease,
  encodeBaseBackupRequest,
  encodeLeaseRequest,
} from '../../../src/storage/page-api.ts';
import { leaseResponse } from '../../support/fake-grpc.ts';

const lsn = 0x169b1d8n as Lsn;

test.each([
  [{ lsn, replica: false }, '08d8e3a60b2002'],
  [{ lsn, replica: true }, '08d8e3a60b10012002'],
  [{ lsn: noLsn, replica: true }, '10012002'],
  [{ lsn: noLsn, replica: false }, '2002'],
  [{ lsn: 0xffff_ffff_ffff_ffffn as Lsn, replica: false }, '08ffffffffffffffffff012002'],
])('the request %o is %s', (request, hex) => {
  expect(encodeBaseBackupRequest(request).toString('hex')).toBe(hex);
});

test('a lease request holds the LSN', () => {
  expect(encodeLeaseRequest(lsn).toString('hex')).toBe('08d8e3a60b');
});

test('fields that a later version added are skipped', () => {
  const message = Buffer.from('18050a036162632201ff2901020304050607082d01020304', 'hex');
  expect(decodeChunk(message).toString()).toBe('abc');
});

test('the end of a lease is read to the millisecond, and absent when it is not said', () => {
  expect(decodeLease(leaseResponse(1_763_770_000_123))).toBe(1_763_770_000_123);
  expect(decodeLease(Buffer.alloc(0))).toBeNull();
  // -1 second as int64
  expect(decodeLease(Buffer.from('0a0b08ffffffffffffffffff01', 'hex'))).toBe(-1000);
});

test('no message makes the readers do anything but answer or refuse', () => {
  const said = (read: (message: Buffer) => unknown, message: Buffer): string => {
    try {
      read(message);
      return 'a message';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert(
    property(uint8Array({ maxLength: 64 }), (bytes) => {
      const message = Buffer.from(bytes);
      expect(said(decodeChunk, message)).toMatch(/message|contain bytes/);
      expect(said(decodeLease, message)).toMatch(/message|timestamp/);
    }),
  );
});

test.each([
  ['grpc://no_user@host:51051', 'host:51051', false],
  ['grpc://host', 'host:80', false],
  ['grpcs://host/path', 'host:443', true],
  ['grpc://[::1]:9', '[::1]:9', false],
])('%s leads to %s', (url, where, tls) => {
  expect(parseGrpcUrl(url)).toEqual({ where, tls });
});

test.each(['postgres://host', 'host:1', '', 'grpc://', 'grpc://h:99999'])(
  '%j is not a gRPC address',
  (url) => {
    expect(() => parseGrpcUrl(url)).toThrow('not a grpc:// or grpcs:// URL');
  },
);
