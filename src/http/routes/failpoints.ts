import * as v from 'valibot';
import { failpointList } from '../../core/failpoint-list.ts';
import { failpoints as points } from '../../core/failpoints.ts';
import { nothing } from '../route.ts';
import { route } from './route.ts';
import { text } from './fields.ts';

const list = Object.entries(failpointList)
  .map(([name, what]) => `\`${name}\`: ${what}.`)
  .join(' ');

export const failpoints = route({
  method: 'POST',
  path: '/failpoints',
  auth: 'none',
  summary: 'Makes the program fail at the given points. Only for tests: 404 without `--enable-failpoints`.',
  body: v.array(
    v.object({
      name: text(`One of these; another name has no effect. ${list}`),
      actions: text('e.g. `return(reason)`, `50%sleep(100)`, `off`, `exit`.'),
    }),
  ),
  reply: nothing,
  errors: ['bad_request'],
  handler: ({ body }) => {
    for (const { name, actions } of body) points.set(name, actions);
  },
});
