import { type Dirent, readdirSync } from 'node:fs';
import { isVolumeOwn } from '../process/remove-tree.ts';

/** What is in a directory, without what every new file system has.
 *  @param dir a descriptor */
export const entriesThatCount = (dir: number): Dirent[] =>
  readdirSync(`/proc/self/fd/${dir}`, { withFileTypes: true }).filter((entry) => !isVolumeOwn(entry));
