import type { Sample } from './model.ts';

/** Half an hour. */
const most = 900;

/** In the order of their times: after the clock was set back, those that lie ahead are left out. Pure. */
export const withSample = (samples: readonly Sample[], sample: Sample): Sample[] =>
  [...samples.filter(({ at }) => at < sample.at), sample].slice(-most);
