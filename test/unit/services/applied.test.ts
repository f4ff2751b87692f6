import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { Failpoints } from '../../../src/core/failpoints.ts';
import { keepApplied } from '../../../src/services/applied.ts';
import type { RunningService } from '../../../src/services/service.ts';
import { eventually } from '../../support/program.ts';

interface Given {
  readonly service: RunningService<number>;
  readonly lines: string[];
  /** What was applied so far. */
  readonly applied: number[];
}

function kept(apply: (wanted: number) => Promise<string | null>): Given {
  const [lines, applied]: [string[], number[]] = [[], []];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const nothing = (): Promise<void> => Promise.resolve();
  const service = keepApplied<number>(
    1,
    { log, untilCalm: () => Promise.resolve(), failpoints: new Failpoints() },
    {
      name: 'helper',
      apply(wanted) {
        applied.push(wanted);
        return apply(wanted);
      },
      withdraw: nothing,
      end: nothing,
    },
  );
  onTestFinished(() => service.stop(never));
  return { service, lines, applied };
}

test('what does not work is logged once, however often it is tried', async () => {
  const { service, lines, applied } = kept(() => Promise.reject(new Error('it does not answer')));
  await eventually('three tries', () => (applied.length >= 3 ? true : undefined));
  expect(service.health).toMatchObject({ state: 'failed', error: 'it does not answer' });
  expect(lines).toHaveLength(1);
});

test('until a spec is applied, the health says that it is not', async () => {
  const second = Promise.withResolvers<null>();
  const { service, applied } = kept((wanted) => (wanted === 1 ? Promise.resolve(null) : second.promise));
  expect(service.health.detail).toContain('is being applied');
  await eventually('the first result', () => (service.health.detail === undefined ? true : undefined));
  await service.reconfigure(2, never);
  await eventually('the second spec', () => (applied.includes(2) ? true : undefined));
  expect(service.health).toMatchObject({ state: 'ok', detail: expect.stringContaining('is being applied') });
  second.resolve(null);
});
