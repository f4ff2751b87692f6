import { commandLine } from './command-line.ts';
import { dataDirectory } from './data-directory.ts';
import { given } from './given.ts';
import { local } from './local.ts';
import { postgres } from './postgres.ts';
import { requests } from './requests.ts';
import { storage } from './storage.ts';
import type { Mistake } from './mistake.ts';

/** Every mistake of docs/troubleshooting.md. */
export const mistakes: readonly Mistake[] = [
  ...commandLine,
  ...given,
  ...requests,
  ...dataDirectory,
  ...postgres,
  ...storage,
  ...local,
];
