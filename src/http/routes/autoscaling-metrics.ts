import { Answer } from '../answer.ts';
import { route } from './route.ts';
import { text } from './fields.ts';

export const autoscalingMetrics = route({
  method: 'GET',
  path: '/autoscaling_metrics',
  auth: 'none',
  summary:
    'Forwards the metrics that the neon extension serves on its socket in the data directory: status, content type and body.',
  reply: text('In the text format of Prometheus.'),
  contentType: 'application/text',
  errors: ['internal', 'deadline'],
  limitMs: 30_000,
  handler: async ({ signal }, { database }) => {
    const { status, contentType, body } = await database.autoscalingMetrics(signal);
    return new Answer(status, body, contentType === null ? {} : { 'content-type': contentType });
  },
});
