import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { inline } from '../../../src/core/errors.ts';
import { type Download, download } from '../../../src/outbound/download.ts';
import { type Fault, type FileServer, startFileServer } from '../../support/file-server.ts';

const never = new AbortController().signal;
const content = randomBytes(300_000);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'download-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function serving(faults: readonly Fault[], headers: Record<string, string> = {}): Promise<FileServer> {
  const server = await startFileServer(content, faults, headers);
  onTestFinished(() => server.stop());
  return server;
}

const path = (): string => join(dir, 'file');

interface Fetched {
  /** The bytes; or the error. */
  readonly result: number | string;
  readonly statuses: readonly string[];
}

async function fetched(url: string, more: Partial<Download> = {}, signal = never): Promise<Fetched> {
  const statuses: string[] = [];
  const what: Download = {
    url,
    path: path(),
    maxBytes: 1_000_000,
    reserveBytes: 0,
    idleMs: 300,
    env: {},
    onAttempt: (status) => statuses.push(status),
    refusal: ({ statusLine }) => `refused: ${statusLine}`,
    ...more,
  };
  const limits = { what: 'the download', attempts: 4, pauseMs: () => 1, totalMs: 20_000 };
  const result = await download(what, limits, signal).catch(inline);
  return { result, statuses };
}

const whole = (): void => expect(readFileSync(path()).equals(content)).toBe(true);

test('a file is downloaded, and its digest fits', async () => {
  const { url } = await serving([]);
  expect(await fetched(url)).toEqual({ result: content.length, statuses: ['200 OK'] });
  whole();
});

test.each<[string, Fault, string[]]>([
  ['is cut before the first byte', { cutAfter: 0 }, ['200 OK', '200 OK']],
  ['takes the request and never answers', 'silent', ['unknown', '200 OK']],
  ['sends a part although the whole was asked for', 'unasked-range', ['206 Partial Content', '200 OK']],
  ['stops sending', { stopsAfter: 100_000 }, ['200 OK', '206 Partial Content']],
  ['is unavailable', 503, ['503 Service Unavailable', '200 OK']],
  ['has too many requests', 429, ['429 Too Many Requests', '200 OK']],
  ['gives a wrong digest', 'wrong-digest', ['200 OK', '200 OK']],
])('a server that %s is asked again, for what is missing', async (_, fault, statuses) => {
  const { url } = await serving([fault]);
  expect(await fetched(url)).toEqual({ result: content.length, statuses });
  whole();
});

test.each<[string, Fault, number]>([
  ['sends the whole file', 'no-range', 2],
  ['sends another part', 'wrong-range', 3],
  ['says that there is no such part', 416, 3],
  ['has another version meanwhile', 'changed', 2],
])('after a break, a server that %s gives a whole file in the end', async (_, fault, requests) => {
  const server = await serving([{ stopsAfter: 100_000 }, fault]);
  const { result } = await fetched(server.url);
  expect(result).toBe(fault === 'changed' ? content.length + 3 : content.length);
  expect(server.requests).toHaveLength(requests);
  expect(readFileSync(path()).subarray(-content.length).equals(content)).toBe(true);
});

test('a server that cuts the connection is asked again', async () => {
  const server = await serving([{ cutAfter: 100_000 }, { cutAfter: 50_000 }]);
  expect((await fetched(server.url)).result).toBe(content.length);
  expect(server.requests).toHaveLength(3);
  whole();
});

test('a part that ends before the file does is not taken for the rest of it', async () => {
  const { url } = await serving([{ stopsAfter: 100_000 }, 'short-range', 'short-range'], {
    'repr-digest': 'unknown',
  });
  const { result, statuses } = await fetched(url);
  expect([result, statuses.length]).toEqual([content.length, 4]);
  whole();
});

test('a download that would fill the disk is refused before its first byte, once', async () => {
  const server = await serving([]);
  const { result } = await fetched(server.url, { reserveBytes: Number.MAX_SAFE_INTEGER });
  expect(result).toContain('no space left on device (ENOSPC)');
  expect([server.requests.length, readFileSync(path()).length]).toEqual([1, 0]);
});

test('where the file has no strong tag, it is fetched from its beginning', async () => {
  const server = await serving([{ stopsAfter: 100_000 }], { etag: 'W/"weak"' });
  expect((await fetched(server.url)).statuses).toEqual(['200 OK', '200 OK']);
  whole();
});

test.each([404, 401, 403, 400, 410])('status %i is final', async (status) => {
  const server = await serving([status, status]);
  const { result } = await fetched(server.url);
  expect(result).toContain(`refused: ${status}`);
  expect(server.requests).toHaveLength(1);
});

test('a redirect is followed, and the token of one server does not reach another', async () => {
  const target = await serving([]);
  const { url } = await serving([{ location: target.url }]);
  expect((await fetched(url)).result).toBe(content.length);
});

test.each<[string, string, string]>([
  ['to itself', 'file', 'refused: 302'],
  ['to a file of this machine', 'file:///etc/passwd', 'redirects to file:'],
])('a redirect %s ends', async (_, location, said) => {
  const faults: Fault[] = Array.from({ length: 60 }, () => ({ location }));
  const { url } = await serving(faults);
  expect((await fetched(url)).result).toContain(said);
});

test.each<[string, Record<string, string>]>([
  ['repr-digest', { 'repr-digest': `sha-512=:${'A'.repeat(86)}==:` }],
  ['digest', { 'repr-digest': 'unknown', digest: 'SHA-256=AAAA' }],
  ['x-goog-hash', { 'repr-digest': 'unknown', 'x-goog-hash': 'crc32c=AAAAAA==,md5=AAAA' }],
  ['x-amz-checksum-sha256', { 'repr-digest': 'unknown', 'x-amz-checksum-sha256': 'AAAA' }],
])('a digest in the header %s that does not fit is an error', async (header, headers) => {
  const { url } = await serving([], headers);
  expect((await fetched(url)).result).toContain(`is not the one of the header ${header}`);
});

test('a file larger than allowed is refused at once, by its length', async () => {
  const server = await serving([]);
  const { result } = await fetched(server.url, { maxBytes: 1000 });
  expect(result).toContain('is larger than 1000 bytes');
  expect(server.requests).toHaveLength(1);
  expect(readFileSync(path())).toHaveLength(0);
});

test('a file without an end is given up at the limit', async () => {
  const { url } = await serving(['endless']);
  expect((await fetched(url)).result).toContain('is larger than 1000000 bytes');
  expect(readFileSync(path()).length).toBeLessThanOrEqual(1_000_000);
});

test('a server that is not there is told with its address, after all attempts', async () => {
  const { result, statuses } = await fetched('http://user:secret@127.0.0.1:1/file?token=secret');
  expect(result).toContain('http://127.0.0.1:1/file');
  expect(result).not.toContain('secret');
  expect(statuses).toEqual(['unknown', 'unknown', 'unknown', 'unknown']);
});

test('an abort ends a download that waits for more', async () => {
  const { url } = await serving([{ stopsAfter: 10 }]);
  const stop = new AbortController();
  const running = fetched(url, { idleMs: 60_000 }, stop.signal);
  setTimeout(() => stop.abort(), 50);
  expect((await running).result).toContain('aborted');
});

test('a file that is there already is not overwritten', async () => {
  const { url } = await serving([]);
  await fetched(url);
  expect((await fetched(url)).result).toContain('EEXIST');
  whole();
});

test('a download goes through the proxy of the environment', async () => {
  const { url } = await serving([]);
  const seen: string[] = [];
  const proxy = createServer((request, response) => {
    seen.push(request.url ?? '');
    response.end(content);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void proxy.close());
  const { port } = proxy.address() as AddressInfo;
  const { result } = await fetched(url, { env: { http_proxy: `http://127.0.0.1:${port}` } });
  expect([result, seen]).toEqual([content.length, [url]]);
  expect(existsSync(path())).toBe(true);
});
