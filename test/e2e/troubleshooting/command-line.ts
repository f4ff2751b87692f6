import type { Mistake } from './mistake.ts';
import type { Scene } from './scene.ts';

type ProgramName = Parameters<Scene['run']>[0];

const wrong = (title: string, name: ProgramName, ...args: string[]): Mistake => ({
  code: 'usage',
  title,
  provoke: (scene) => scene.run(name, args),
});

const run = ['-D', '/srv/pgdata', '-C', 'postgresql://cloud_admin@127.0.0.1:5432/postgres'];

/** Wrong command lines of all three programs. */
export const commandLine: readonly Mistake[] = [
  wrong('A command of compute_ctl is misspelt', 'compute_ctl', 'chek', '-c', 'config.json'),
  wrong('An option of compute_ctl is cut short', 'compute_ctl', 'check', '--con', 'config.json'),
  wrong('Required options are missing', 'compute_ctl', '-c', 'config.json'),
  wrong(
    'The value of an option is missing',
    'compute_ctl',
    '-D',
    '-C',
    'postgresql://cloud_admin@127.0.0.1/postgres',
  ),
  wrong('Two sources of the spec are given', 'compute_ctl', ...run, '-c', 'config.json', '-S', 'spec.json'),
  wrong('A port is out of range', 'compute_ctl', ...run, '--external-http-port', '99999'),
  wrong(
    'compute_ctl gets one port for two servers',
    'compute_ctl',
    ...run,
    '--external-http-port',
    '3080',
    '--internal-http-port',
    '3080',
  ),
  wrong('An option is given twice', 'compute_ctl', ...run, '-i', 'compute-1', '-i', 'compute-2'),
  wrong('There is nothing to check', 'compute_ctl', 'check'),
  wrong('A command of compute-local is misspelt', 'compute-local', 'upp'),
  wrong('An option of compute-local is misspelt', 'compute-local', 'up', '--dri', '/var/lib/compute-local'),
  wrong(
    'compute-local gets one port for two servers',
    'compute-local',
    'up',
    '--dir',
    '/srv/new',
    '--port',
    '4000',
    '--http-port',
    '4000',
  ),
  wrong(
    'A node gets a name without --replica',
    'compute-local',
    'up',
    '--dir',
    '/srv/new',
    '--name',
    'reports',
  ),
  wrong('A word too many is given', 'compute-local', 'promote', 'now'),
  wrong('An option of vm-monitor is misspelt', 'vm-monitor', '--adr', '0.0.0.0:10301'),
  wrong('An address is not one', 'vm-monitor', '--addr', 'localhost'),
];
