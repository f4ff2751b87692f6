import { expect, test } from 'vitest';
import { followStart } from '../../../src/lifecycle/start-metrics.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import { Metrics } from '../../../src/metrics/registry.ts';

test('the parts of a start are shown in seconds once the compute runs, whatever their unit was', async () => {
  const [state, metrics] = [new ComputeState(), new Metrics()];
  followStart(metrics, state);
  Object.assign(state.figures, {
    pageserver_connect_micros: 1500,
    basebackup_ms: 250,
    total_startup_ms: 910,
  });
  const shown = async (): Promise<string[]> =>
    (await metrics.render()).split('\n').filter((line) => line.startsWith('compute_ctl_start_phase_seconds'));
  expect(await shown()).toEqual([]);
  state.lifecycle.move('empty', 'configuration_pending');
  state.lifecycle.move('configuration_pending', 'init');
  state.lifecycle.move('init', 'running');
  expect(await shown()).toEqual(
    expect.arrayContaining([
      'compute_ctl_start_phase_seconds{phase="pageserver_connect"} 0.0015',
      'compute_ctl_start_phase_seconds{phase="basebackup"} 0.25',
      'compute_ctl_start_phase_seconds{phase="total"} 0.91',
    ]),
  );
});
