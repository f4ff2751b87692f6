import type { Metrics } from './registry.ts';

/** This process, under the names that Prometheus has for every process. */
export function followProcess(metrics: Metrics): void {
  const startedS = Math.round(performance.timeOrigin) / 1000;
  metrics.observe('process_start_time_seconds', () => startedS);
  metrics.observe('process_cpu_seconds_total', () => {
    const { user, system } = process.cpuUsage();
    return Math.round((user + system) / 1e4) / 100;
  });
  metrics.observe('process_resident_memory_bytes', () => process.memoryUsage.rss());
}
