import type { OptionEntry } from './entry.ts';

/** The option of `up`. */
export const dashboardPort = {
  flag: '--dashboard-port',
  kind: 'portOrNone',
  value: 'PORT',
  fallback: null,
  fallbackDoc: 'the last one used, or a free one',
  group: 'options',
  // Nodes have none.
  conflicts: ['replica', 'atLsn'],
  doc: 'Port of the dashboard, on the loopback only; none or 0: no dashboard.',
} as const satisfies OptionEntry;

export const dashboardDoc =
  'Print a new link to the dashboard of a running `up`. It can be used once, within an hour.';
