import { spawnSync } from 'node:child_process';

export interface Setting {
  readonly name: string;
  readonly value: string;
  readonly vartype: 'string';
}

/** The lines of a spec for postgresql.conf, to change them. */
export const settingsOf = (spec: Record<string, unknown>): Setting[] =>
  (spec['cluster'] as { settings: Setting[] }).settings;

export const setting = (name: string, value: string): Setting => ({ name, value, vartype: 'string' });

export const isRoot = process.getuid?.() === 0;

/** Containers often may not mount. */
export const mayMount =
  isRoot && spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

/** Whether root can be started here without its capabilities. */
export const mayDrop = isRoot && spawnSync('setpriv', ['--bounding-set=-all', 'true']).status === 0;
