import { nothing } from '../route.ts';
import { route } from './route.ts';

export const refreshConfiguration = route({
  method: 'POST',
  path: '/refresh_configuration',
  auth: 'none',
  summary:
    'Asks for the configuration to be fetched anew, and does not wait for it. A failure is tried again by itself, and at once when asked again; its reason stands in `error` of the status.',
  differs:
    'the whole spec is compared, a failure shows its reason and is repeated by itself, and the process never ends. Refused after a failed first start, which has no Postgres to refresh.',
  reply: nothing,
  errors: ['internal'],
  handler: (_, app, metrics) => {
    metrics.inc('pg_cctl_pagestream_request_errors_total');
    return app.refresh();
  },
});
