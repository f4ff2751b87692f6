/** In every status the compute may fail, get a request to terminate, or have terminated. */
const ways = ['failed', 'termination_pending_fast', 'termination_pending_immediate', 'terminated'] as const;

/** The statuses of a compute and where each may lead. A status without its row fails to compile. */
export const transitions = {
  // No spec yet. With a spec at process start, the next status is init.
  empty: ['init', 'configuration_pending', ...ways],
  // A spec was accepted but not yet applied. First spec: init. Running Postgres: configuration.
  configuration_pending: ['init', 'configuration', ...ways],
  init: ['running', ...ways],
  running: ['configuration_pending', 'refresh_configuration_pending', ...ways],
  configuration: ['running', ...ways],
  // After a failed reconfiguration Postgres still runs: the next /configure or refresh may repair it.
  failed: [
    'configuration_pending',
    'refresh_configuration_pending',
    'termination_pending_fast',
    'termination_pending_immediate',
    'terminated',
  ],
  refresh_configuration_pending: ['refresh_configuration', ...ways],
  refresh_configuration: ['running', 'refresh_configuration_pending', ...ways],
  termination_pending_fast: ['terminated'],
  termination_pending_immediate: ['terminated'],
  terminated: [],
} as const satisfies Record<string, readonly string[]>;

export type Status = keyof typeof transitions;
export type After<S extends Status> = (typeof transitions)[S][number];

export const statuses = Object.keys(transitions) as readonly Status[];

/** The spelling in logs, metric labels and 412 errors: `configuration-pending`. JSON keeps underscores. */
export const statusText = (status: Status): string => status.replaceAll('_', '-');

export const isTerminating = (status: Status): boolean =>
  status === 'termination_pending_fast' ||
  status === 'termination_pending_immediate' ||
  status === 'terminated';
