import type { manualCommands, shells } from '../config/options/manual.ts';
import { bash } from './bash.ts';
import { fish } from './fish.ts';
import { manPage } from './man.ts';
import { zsh } from './zsh.ts';

const completions: { readonly [shell in (typeof shells)[number]]: () => string } = { bash, zsh, fish };

/** What the commands `completion` and `man` print.
 *  @param of the shell or the program, which the parser has checked */
export const manual = (command: keyof typeof manualCommands, of: string): string =>
  command === 'man' ? manPage(of) : completions[of as keyof typeof completions]();

/** All of it, by the name of the file in a package. */
export const manualFiles = (): Record<string, string> => ({
  'man/compute_ctl.1': manPage('compute_ctl'),
  'man/compute-local.1': manPage('compute-local'),
  'man/vm-monitor.1': manPage('vm-monitor'),
  'completions/compute_ctl.bash': bash(),
  'completions/_compute_ctl': zsh(),
  'completions/compute_ctl.fish': fish(),
});
