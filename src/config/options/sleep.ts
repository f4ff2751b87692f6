import type { OptionEntry } from './entry.ts';

/** Of `compute-local up`: when the compute is stopped because nobody uses it. */
export const sleepOptions = {
  suspendAfter: {
    flag: '--suspend-after',
    kind: 'duration',
    value: 'TIME',
    env: 'COMPUTE_LOCAL_SUSPEND_AFTER',
    fallback: 300,
    fallbackDoc: '5min',
    group: 'options',
    doc: 'Stop Postgres when nobody has used it for this long; the next connection starts it again. 0: never.',
  },
  suspendHardAfter: {
    flag: '--suspend-hard-after',
    kind: 'duration',
    value: 'TIME',
    env: 'COMPUTE_LOCAL_SUSPEND_HARD_AFTER',
    fallback: 0,
    fallbackDoc: 'never',
    group: 'options',
    doc: 'End sessions that would lose something, such as temporary tables or LISTEN, when they have been idle for this long. Without it, they keep Postgres from being stopped.',
  },
  suspendIgnore: {
    flag: '--suspend-ignore',
    kind: 'text',
    value: 'NAMES',
    env: 'COMPUTE_LOCAL_SUSPEND_IGNORE',
    fallback: '',
    fallbackDoc: 'none',
    group: 'options',
    doc: 'Roles and applications whose sessions do not count as use, with commas between them: role:NAME, app:NAME, or NAME for either; * at the end stands for anything.',
  },
  prepareAtMost: {
    flag: '--prepare-at-most',
    kind: 'sizeOrZero',
    value: 'SIZE',
    env: 'COMPUTE_LOCAL_PREPARE_AT_MOST',
    fallback: null,
    fallbackDoc: 'no limit',
    group: 'options',
    doc: 'While Postgres is stopped, make the data directory of its next start ahead, if the base backup and its WAL have no more than this. 0: never.',
  },
} as const satisfies Record<string, OptionEntry>;
