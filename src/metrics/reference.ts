import { type MetricDefinition, metricDefinitions } from './definitions.ts';
import { type MetricNotBuilt, metricsNotBuilt } from './not-built.ts';

/** The page `docs/reference/metrics.md`. */
export function renderMetricsReference(): string {
  const rows = Object.entries<MetricDefinition>(metricDefinitions).map(([name, { type, labels, help }]) => {
    const shown = labels.length === 0 ? '-' : labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${shown} | ${labels.length === 0 ? 'at once' : 'later'} | ${help} |`;
  });
  const missing = Object.entries<MetricNotBuilt>(metricsNotBuilt);
  return [
    '# Metrics',
    '',
    'Served by `GET /metrics` of the external server in this order, in the text format of Prometheus (0.0.4).',
    'Appears: `at once` starts at 0 with the first scrape; `later` is left out until there is something to tell.',
    'In labels a status is spelled with dashes (`configuration-pending`).',
    '',
    '| Name | Type | Labels | Appears | Meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    '## Not served',
    '',
    'The original has these, too. The services that would count them are not built, so `/metrics` does not have them at all.',
    '',
    '| Name | Service |',
    '|---|---|',
    ...missing.map(([name, { service }]) => `| \`${name}\` | ${service} |`),
    '',
  ].join('\n');
}
