import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Lsn } from '../../../../src/core/lsn.ts';
import { addWal } from '../../../../src/local/next/fill.ts';
import type { Source } from '../../../../src/local/next/source.ts';

test('a wake ends the adding of WAL to a template between two segments: it went on to the end', async () => {
  const root = mkdtempSync(join(tmpdir(), 'fill-'));
  try {
    const segments = ['a', 'b', 'c'].map((name, number) => {
      writeFileSync(join(root, name), Buffer.alloc(1 << 20));
      return { number, name, path: join(root, name), partial: false };
    });
    mkdirSync(join(root, 'pg_wal'));
    const stop = new AbortController();
    const source = { base: { walSegmentBytes: 1 << 20 }, segments } as unknown as Source;
    const added = addWal(root, source, 0n as Lsn, stop.signal);
    stop.abort(new Error('a wake'));
    await expect(added).rejects.toThrow('a wake');
    expect(readdirSync(join(root, 'pg_wal'))).toEqual(['a']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
