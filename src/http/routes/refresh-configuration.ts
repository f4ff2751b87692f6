import { nothing } from '../route.ts';
import { route } from './route.ts';

export const refreshConfiguration = route({
  method: 'POST',
  path: '/refresh_configuration',
  auth: 'none',
  summary:
    "Requests that the configuration is fetched again, and does not wait for it. After a failure, the refresh is retried automatically, and at once on a new request; the reason is in the status's `error`.",
  differs:
    'the whole spec is compared; a failure shows its reason and is retried automatically; the process never exits. Refused after a failed first start, because then there is no Postgres to refresh.',
  reply: nothing,
  errors: ['internal'],
  handler: (_, app, metrics) => {
    metrics.inc('pg_cctl_pagestream_request_errors_total');
    return app.refresh();
  },
});
