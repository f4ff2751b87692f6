import type { CommandEntry } from './entry.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export const programNames = ['compute_ctl', 'compute-local', 'vm-monitor'] as const;

/** Commands that print what is made of the tables of options. They read nothing and change nothing. */
export const manualCommands = {
  completion: {
    doc: 'Print the completion of all three programs for a shell: bash, zsh or fish.',
    options: {},
    args: '<shell>',
    argChoices: shells,
  },
  man: {
    doc: 'Print the manual page of a program, in the format that man reads. Without a name, that of this program.',
    options: {},
    args: '[program]',
    argChoices: programNames,
  },
} as const satisfies Record<string, CommandEntry>;

export const isManualCommand = (name: string): name is keyof typeof manualCommands =>
  Object.hasOwn(manualCommands, name);
