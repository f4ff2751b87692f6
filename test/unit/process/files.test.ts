import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeAtomically, writeBeside, writeDurable } from '../../../src/process/files.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'compute-ctl-write-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('an atomic write leaves the new file with its mode and nothing else', () => {
  const path = join(dir, 'server.key');
  writeFileSync(path, 'old', { mode: 0o644 });
  writeAtomically(path, 'new', { mode: 0o600, durable: true });
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['server.key']);
});

test('a write that cannot be put in place leaves no file behind', () => {
  const path = join(dir, 'taken');
  expect(() => writeAtomically(join(path, 'x'), 'new', {})).toThrow('ENOENT');
  mkdirSync(path);
  expect(() => writeAtomically(path, 'new', {})).toThrow('EISDIR');
  expect(readdirSync(dir)).toEqual(['taken']);
});

test('what an interrupted write has left is in the way of no later one', () => {
  const path = join(dir, 'fence.json');
  writeFileSync(`${path}.new`, 'half of the te', { mode: 0o644 });
  writeDurable(path, 'the text');
  expect(readFileSync(path, 'utf8')).toBe('the text');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['fence.json']);
});

test('a file that is written beside another one takes its place only when it is committed', () => {
  const path = join(dir, 'server.crt');
  writeFileSync(path, 'old');
  const first = writeBeside(path, 'new', {});
  expect(readFileSync(path, 'utf8')).toBe('old');
  first.discard();
  writeBeside(path, 'newer', {}).commit();
  expect(readFileSync(path, 'utf8')).toBe('newer');
  expect(readdirSync(dir)).toEqual(['server.crt']);
});
