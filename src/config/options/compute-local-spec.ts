import type { OptionEntry } from './entry.ts';

/** The commands for a spec of one's own: compute.json. */
const file = {
  flag: '--file',
  kind: 'path',
  value: 'FILE',
  env: 'COMPUTE_LOCAL_FILE',
  fallback: null,
  fallbackDoc: 'compute.json in --dir',
  group: 'options',
  doc: 'The file that says what the compute is to have.',
} as const satisfies OptionEntry;

const flag = { kind: 'flag', fallback: false, group: 'options' } as const;

export const role = {
  flag: '--role',
  kind: 'name',
  value: 'ROLE',
  fallback: null,
  fallbackDoc: 'app',
  group: 'options',
  doc: 'Log in as this role of compute.json.',
} as const satisfies OptionEntry;

export const admin = {
  ...flag,
  flag: '--admin',
  conflicts: ['role'],
  doc: 'Log in as the superuser, through the Unix socket, which only the OS user of the directory can reach.',
} as const satisfies OptionEntry;

/** @param common options that the other commands have, too */
export const specCommands = <
  D extends OptionEntry,
  J extends OptionEntry,
  U extends OptionEntry,
  B extends OptionEntry,
>(common: {
  readonly dir: D;
  readonly json: J;
  readonly osUser: U;
  readonly pgBinDir: B;
}) => {
  const { dir, json, osUser, pgBinDir } = common;
  return {
    init: {
      doc: 'Write a compute.json to begin with: roles, databases, extensions and settings. One that is there stays.',
      options: { dir, osUser, file, json },
    },
    plan: {
      doc: 'Show what `apply` would change. Exits with 0 when there is nothing to do, 3 when there is something.',
      options: { dir, file, json },
    },
    apply: {
      doc: 'Change the compute to what compute.json says, now and at every later start.',
      options: {
        dir,
        pgBinDir,
        file,
        json,
        restart: {
          ...flag,
          flag: '--restart',
          doc: 'Restart Postgres when something takes effect at a start only.',
        },
        prune: {
          ...flag,
          flag: '--prune',
          doc: 'Drop the roles and databases that compute.json no longer names, with their data.',
        },
        yes: { ...flag, flag: '--yes', doc: 'Do not ask for confirmation.' },
      },
    },
    password: {
      doc: 'Give `app`, or a role of compute.json, a new password, which is generated, and print its URL. The former one is refused from then on.',
      options: { dir, json },
      args: '<role>',
    },
    config: {
      doc: 'Print one value of compute.json, such as `settings.work_mem`, or change it; comments stay. Without a key, print all.',
      options: {
        dir,
        file,
        json,
        unset: { ...flag, flag: '--unset', doc: 'Remove the value.' },
      },
      args: '[key] [value]',
    },
  } as const;
};
