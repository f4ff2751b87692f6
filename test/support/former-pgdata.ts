import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { markerFile } from '../../src/postgres/marker.ts';
import { preparePgdata } from '../../src/postgres/prepare.ts';

const never = new AbortController().signal;

/** Prepares a data directory for a start, without a limit of its own. */
export const prepare = (path: string): ReturnType<typeof preparePgdata> => preparePgdata(path, never);

/** What an earlier start has left. */
export function fill(dir: string): void {
  mkdirSync(join(dir, 'base', '1'), { recursive: true });
  writeFileSync(join(dir, markerFile), `Created: ${statSync(dir, { bigint: true }).birthtimeNs}\n`);
  writeFileSync(join(dir, 'PG_VERSION'), '15\n');
  writeFileSync(join(dir, 'base', '1', '1259'), 'x');
  symlinkSync('/etc', join(dir, 'link'));
}

/** As a start finds it when it begins. */
export function expectFresh(dir: string): void {
  expect(readdirSync(dir)).toEqual([markerFile]);
  const { mode, uid } = statSync(dir);
  expect(mode & 0o777).toBe(0o700);
  expect(uid).toBe(process.getuid?.());
}
