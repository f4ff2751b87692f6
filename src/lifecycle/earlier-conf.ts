import { linkSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readSmall } from '../process/regular-file.ts';
import { type StartContext, pathOf } from './context.ts';

export const mainFile = (context: StartContext): string => join(pathOf(context), 'postgresql.conf');
const earlierFile = (context: StartContext): string => `${mainFile(context)}.earlier`;

/** Keeps the current `postgresql.conf` beside a new one. A link, since putting it back must work on a full disk, too. */
export function keepEarlierConf(context: StartContext): void {
  forgetEarlierConf(context);
  try {
    linkSync(mainFile(context), earlierFile(context));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

export const forgetEarlierConf = (context: StartContext): void =>
  rmSync(earlierFile(context), { force: true });

/** Puts the earlier `postgresql.conf` back in place; takes effect after a reload. Without one it changes nothing. */
export function restoreEarlierConf(context: StartContext): void {
  try {
    renameSync(earlierFile(context), mainFile(context));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return;
  }
  context.log.warn('the earlier postgresql.conf is in its place again');
}

/** Empty when there is none. */
export const earlierConf = (context: StartContext): string => textOf(earlierFile(context));

export const currentConf = (context: StartContext): string => textOf(mainFile(context));

function textOf(path: string): string {
  try {
    return readSmall(path);
  } catch {
    return '';
  }
}
