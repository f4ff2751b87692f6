import { expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { alarm, sleep } from '../../../src/core/clock.ts';

test('a wait for a time that has passed is over at once, and Node has nothing to warn of', async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error): number => warnings.push(name);
  process.on('warning', note);
  try {
    await sleep(-1, never);
    await new Promise<void>((resolve) => void alarm(-1, resolve));
    // A warning is told in the next turn.
    await sleep(0, never);
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', note);
  }
});
