import { metricsContentType } from '../../metrics/registry.ts';
import { route } from './route.ts';
import { text } from './fields.ts';

export const metrics = route({
  method: 'GET',
  path: '/metrics',
  auth: 'none',
  summary: 'All metrics, in the text format of Prometheus.',
  reply: text('All metrics that have samples.'),
  contentType: metricsContentType,
  errors: [],
  handler: (_, __, metrics) => metrics.render(),
});
