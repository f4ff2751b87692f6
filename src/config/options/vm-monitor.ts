import type { ProgramEntry } from './entry.ts';
import { mainOptions } from './main.ts';
import { moreOptions } from './more.ts';

const { cgroup, cgroupRoot, vmMonitorAddr, logFormat } = moreOptions;
const doc = "Reports this VM's memory use to the node's autoscaler agent and asks it for more memory.";

export const vmMonitor = {
  name: 'vm-monitor',
  doc,
  main: {
    doc,
    options: {
      cgroup: { ...cgroup, short: '-c', group: 'options', doc: 'Control group that Postgres runs in.' },
      pgconnstr: {
        flag: '--pgconnstr',
        short: '-p',
        kind: 'text',
        value: 'STRING',
        fallback: null,
        group: 'options',
        doc: 'Connection string for the file cache. Without it, the file cache is not resized.',
      },
      addr: { ...vmMonitorAddr, flag: '--addr', short: '-a', group: 'options', doc: 'Address to listen on.' },
      cgroupRoot: { ...cgroupRoot, group: 'options' },
      osUser: {
        ...mainOptions.osUser,
        group: 'options',
        doc: 'Operating system user that vm-monitor becomes when it is started by root, before it reads anything.',
      },
      logFormat: { ...logFormat, group: 'options' },
    },
  },
  commands: {},
} as const satisfies ProgramEntry;
