import type { Metrics } from '../metrics/registry.ts';
import type { ComputeState } from './state.ts';

/** Shows how long the parts of a start took, whenever the compute becomes `running`. */
export function followStart(metrics: Metrics, { lifecycle, figures }: ComputeState): void {
  lifecycle.changed.on('status', ({ to }) => {
    if (to !== 'running') return;
    const ms = {
      wait_for_spec: figures.wait_for_spec_ms,
      sync_sk_check: figures.sync_sk_check_ms,
      sync_safekeepers: figures.sync_safekeepers_ms,
      pageserver_connect: figures.pageserver_connect_micros / 1000,
      basebackup: figures.basebackup_ms,
      load_ext: figures.load_ext_ms,
      start_postgres: figures.start_postgres_ms,
      config: figures.config_ms,
      total: figures.total_startup_ms,
    };
    metrics.replace(
      'compute_ctl_start_phase_seconds',
      Object.entries(ms).map(([phase, value]) => ({ labels: { phase }, value: value / 1000 })),
    );
  });
}
