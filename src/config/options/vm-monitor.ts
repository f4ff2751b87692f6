import type { ProgramEntry } from './entry.ts';
import { moreOptions } from './more.ts';

const { cgroup, cgroupRoot, vmMonitorAddr, logFormat } = moreOptions;
const doc = 'Speaks with the autoscaler agent of the node about the memory of this VM.';

export const vmMonitor = {
  name: 'vm-monitor',
  doc,
  main: {
    doc,
    options: {
      cgroup: { ...cgroup, short: '-c', group: 'options', doc: 'Control group of Postgres.' },
      pgconnstr: {
        flag: '--pgconnstr',
        short: '-p',
        kind: 'text',
        value: 'STRING',
        fallback: null,
        group: 'options',
        doc: 'Connection to the file cache; without it the file cache is left alone.',
      },
      addr: { ...vmMonitorAddr, flag: '--addr', short: '-a', group: 'options', doc: 'Where to listen.' },
      cgroupRoot: { ...cgroupRoot, group: 'options' },
      logFormat: { ...logFormat, group: 'options' },
    },
  },
  commands: {},
} as const satisfies ProgramEntry;
