import type { CommandEntry, OptionEntry } from './entry.ts';

/** For how long and how much; also options of `up`. */
export const history = {
  keep: {
    flag: '--keep',
    kind: 'duration',
    value: 'TIME',
    env: 'COMPUTE_LOCAL_KEEP',
    fallback: null,
    fallbackDoc: 'as given the last time; at first nothing',
    group: 'options',
    doc: 'Keep base backups and WAL for this long, such as 7d, so that every moment since can be restored. 0s: only what a start needs.',
  },
  keepAtMost: {
    flag: '--keep-at-most',
    kind: 'size',
    value: 'SIZE',
    env: 'COMPUTE_LOCAL_KEEP_AT_MOST',
    fallback: null,
    fallbackDoc: 'as given the last time; at first no limit but the disk',
    group: 'options',
    doc: 'What --keep may take; what is older is removed first, also while the disk is nearly full.',
  },
} as const satisfies Record<string, OptionEntry>;

const ttl = {
  flag: '--ttl',
  kind: 'lifetime',
  value: 'TIME',
  fallback: null,
  fallbackDoc: 'never',
  group: 'options',
  doc: 'Delete it after this time, such as 2h.',
} as const satisfies OptionEntry;

/** @param common options that other commands have, too */
export function branchCommands<
  D extends OptionEntry,
  J extends OptionEntry,
  P extends Readonly<Record<string, OptionEntry>>,
  R extends Readonly<Record<string, OptionEntry>>,
>({ dir, json, forPostgres, runs }: { dir: D; json: J; forPostgres: P; runs: R }) {
  const starts = {
    ...{ dir, ...forPostgres, json, ...runs },
    ...history,
  };
  const stopped = {
    flag: '--stopped',
    kind: 'flag',
    fallback: false,
    group: 'options',
    doc: 'Only create it.',
  } as const satisfies OptionEntry;
  return {
    create: {
      doc: 'Create a compute with an empty database of its own and start it, in the background; one that exists is started. The last line is its URL.',
      args: '<name>',
      options: { ...starts, ttl, stopped },
    },
    branch: {
      doc: 'Create a branch and start it, in the background: it has the data of another one, and its own changes. The last line is its URL.',
      args: '<name>',
      options: {
        ...starts,
        from: {
          flag: '--from',
          kind: 'nodeName',
          value: 'NAME',
          fallback: 'main',
          group: 'options',
          doc: 'Whose data: main, or a branch, also one that does not run.',
        },
        at: {
          flag: '--at',
          kind: 'text',
          value: 'WHEN',
          fallback: null,
          fallbackDoc: 'now',
          group: 'options',
          doc: 'An LSN, a time in ISO 8601 (without a zone: local time), or such as "2 hours ago".',
        },
        ttl,
        stopped,
      },
    },
    list: {
      doc: 'Show the main compute and all branches: state, parent, what can be restored. The same: ls.',
      aliases: ['ls'],
      options: { dir, json },
    },
    start: {
      doc: 'Start a compute in the background and wait until it is ready. Without a name: main. The last line is its URL.',
      args: '[name]',
      options: starts,
    },
    delete: {
      doc: 'Stop a branch and delete its data. One that others were branched from is refused; one that is missing is a success. The same: rm.',
      aliases: ['rm'],
      args: '<name>',
      options: { dir, json },
    },
    rename: {
      doc: 'Give a branch that does not run another name. Its data and its URL stay.',
      args: '<name> <new-name>',
      options: { dir, json },
    },
    diff: {
      doc: 'Show what a branch has changed in the schema of its parent; of two computes, what leads from the first to the second. Exits with 0 when nothing differs, with 3 when something does.',
      args: '<name> [other]',
      options: {
        dir,
        json,
        database: {
          flag: '--database',
          kind: 'name',
          value: 'NAME',
          fallback: null,
          fallbackDoc: 'that of the URL',
          group: 'options',
          doc: 'Which database of both.',
        },
      },
    },
    logs: {
      doc: 'Print the end of the log of a compute. Without a name: main.',
      args: '[name]',
      options: {
        dir,
        json,
        follow: {
          flag: '--follow',
          short: '-f',
          kind: 'flag',
          fallback: false,
          group: 'options',
          doc: 'Go on with what is added, until Ctrl-C.',
        },
        lines: {
          flag: '--lines',
          short: '-n',
          kind: 'count',
          value: 'COUNT',
          fallback: 100,
          group: 'options',
          doc: 'How many lines.',
        },
        storage: {
          flag: '--storage',
          kind: 'flag',
          fallback: false,
          group: 'options',
          doc: 'The log of its storage.',
        },
      },
    },
  } as const satisfies Record<string, CommandEntry>;
}
