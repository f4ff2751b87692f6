import { mainName } from '../names.ts';
import { type LocalDir, commandFor } from '../state.ts';

/** How people call the compute that a directory is of, and the commands for it. */
export interface Called {
  readonly name: string;
  readonly start: string;
  readonly stop: string;
  /** @param name it, or one of its nodes */
  token(name: string): string;
}

export const calledMain = (dir: LocalDir): Called => ({
  name: mainName,
  start: commandFor(dir, 'up'),
  stop: commandFor(dir, 'stop'),
  token: (name) => commandFor(dir, `token ${name}`),
});

/** @param home the directory that the branch belongs to */
export const calledBranch = (home: LocalDir, dir: LocalDir, name: string): Called => ({
  name,
  start: commandFor(home, `start ${name}`),
  stop: commandFor(home, `stop ${name}`),
  token: (of) => (of === name ? commandFor(home, `token ${name}`) : calledMain(dir).token(of)),
});
