import { type MetricDefinition, metricDefinitions } from './definitions.ts';

/** The page `docs/reference/metrics.md`. */
export function renderMetricsReference(): string {
  const rows = Object.entries<MetricDefinition>(metricDefinitions).map(([name, { type, labels, help }]) => {
    const shown = labels.length === 0 ? '-' : labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${shown} | ${labels.length === 0 ? 'at once' : 'later'} | ${help} |`;
  });
  return [
    '# Metrics',
    '',
    'Served by `GET /metrics` of the external server in this order, in the text format of Prometheus (0.0.4).',
    'Appears: `at once`: starts at 0 with the first scrape; `later`: is left out until it has a value.',
    'In labels a status has dashes (`configuration-pending`).',
    '',
    '| Name | Type | Labels | Appears | Meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
