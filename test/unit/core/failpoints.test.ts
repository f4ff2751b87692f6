import { expect, test } from 'vitest';
import { Failpoints } from '../../../src/core/failpoints.ts';

const { signal } = new AbortController();

test('a point that nobody set lets everything pass', async () => {
  expect(await new Failpoints().hit('x', signal)).toBeNull();
});

test('a point returns what it was told, as often as it was told', async () => {
  const points = new Failpoints();
  points.setAll('a=2*return(boom)->off; b=return;c=0%return');
  const hits = [await points.hit('a', signal), await points.hit('a', signal), await points.hit('a', signal)];
  expect(hits).toEqual(['boom', 'boom', null]);
  expect(await points.hit('b', signal)).toBe('');
  expect(await points.hit('c', signal)).toBeNull();
});

test('a panic is an error, and a pause ends when the point is set anew', async () => {
  const points = new Failpoints();
  points.set('a', 'panic');
  await expect(points.hit('a', signal)).rejects.toThrow('a failpoint');
  points.set('a', 'pause');
  const paused = points.hit('a', signal);
  points.set('a', 'off');
  expect(await paused).toBeNull();
  points.set('a', 'pause');
  await expect(points.hit('a', AbortSignal.timeout(20))).rejects.toThrow('abort');
});

test('what is not an action is refused', () => {
  for (const actions of ['', 'explode', 'sleep', 'sleep(x)', 'return(', 'a%return']) {
    expect(() => new Failpoints().set('a', actions)).toThrow('failed to configure failpoints');
  }
});
