import { expect, test } from 'vitest';
import { ComputeError } from '../../../src/core/errors.ts';
import { exitReport } from '../../../src/local/exit-report.ts';
import type { Fields } from '../../../src/local/report.ts';

test('a child that fails at each start for the same reason is told once a minute, with the reason and what to do', () => {
  const told: { fields: Fields; text: string | null }[] = [];
  let nowMs = 0;
  const report = {
    event: (_: string, fields: Fields, text: string | null) => void told.push({ fields, text }),
    progress: () => {},
  };
  const onExit = exitReport({ event: 'compute-exited', who: 'The compute' }, report, () => nowMs);
  const full = new ComputeError('pgdata_refused', 'no space\n\nCaused by:\n    disk', { hint: 'free space' });
  for (; nowMs < 90_000; nowMs += 1000) onExit({ code: 1, signal: null }, full, 100);
  expect(told).toHaveLength(2);
  expect(told[0]?.text).toBe(
    'The compute exited (exit code 1): no space Caused by: disk. What to do: free space. Starting it again ...',
  );
  // Another reason, and the end of one that had run, are told at once.
  onExit(
    { code: null, signal: null },
    Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'open' }),
    100,
  );
  onExit({ code: null, signal: 'SIGKILL' }, null, 100);
  onExit({ code: null, signal: 'SIGKILL' }, null, 100);
  expect(told.slice(2).map(({ text }) => text?.split(':')[0])).toEqual([
    'The compute did not start',
    'The compute exited (signal SIGKILL). Starting it again ...',
    'The compute exited (signal SIGKILL). Starting it again ...',
  ]);
});
