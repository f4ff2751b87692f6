import { expect, test } from 'vitest';
import { Failpoints } from '../../../src/core/failpoints.ts';

const { signal } = new AbortController();

test('a point that nobody set lets everything pass', async () => {
  expect(await new Failpoints().hit('compute-offload', signal)).toBeNull();
});

test('a point returns what it was told, as often as it was told', async () => {
  const points = new Failpoints();
  points.setAll('compute-prewarm=2*return(boom)->off; compute-promotion=return;compute-migration=0%return');
  const hits = [
    await points.hit('compute-prewarm', signal),
    await points.hit('compute-prewarm', signal),
    await points.hit('compute-prewarm', signal),
  ];
  expect(hits).toEqual(['boom', 'boom', null]);
  expect(await points.hit('compute-promotion', signal)).toBe('');
  expect(await points.hit('compute-migration', signal)).toBeNull();
});

test('a panic is an error, and a pause ends when the point is set anew', async () => {
  const points = new Failpoints();
  points.set('compute-prewarm', 'panic');
  await expect(points.hit('compute-prewarm', signal)).rejects.toThrow('compute-prewarm failpoint');
  points.set('compute-prewarm', 'pause');
  const paused = points.hit('compute-prewarm', signal);
  points.set('compute-prewarm', 'off');
  expect(await paused).toBeNull();
  points.set('compute-prewarm', 'pause');
  await expect(points.hit('compute-prewarm', AbortSignal.timeout(20))).rejects.toThrow('abort');
});

test('what is not an action is refused', () => {
  for (const actions of ['', 'explode', 'sleep', 'sleep(x)', 'return(', 'a%return']) {
    expect(() => new Failpoints().set('a', actions)).toThrow('failed to configure failpoints');
  }
});

test('where a point is for several things, its argument selects one, and none selects all', async () => {
  const points = new Failpoints();
  const passes = (which?: string): Promise<boolean> =>
    points.pass('compute-service-start', signal, which).then(
      () => true,
      () => false,
    );
  expect(await passes('tls')).toBe(true);
  points.set('compute-service-start', 'return(tls)');
  expect([await passes('tls'), await passes('pgbouncer')]).toEqual([false, true]);
  points.set('compute-service-start', 'return');
  expect([await passes('tls'), await passes('pgbouncer')]).toEqual([false, false]);
  await expect(points.pass('compute-service-start', signal, 'tls')).rejects.toThrow(
    'compute-service-start failpoint',
  );
});
