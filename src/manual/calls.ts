import type { CommandEntry, OptionEntry, OptionTable } from '../config/options/entry.ts';
import { programs } from '../config/options/programs.ts';
import { choices } from '../config/values.ts';

/** What a shell offers for a value. */
export type Values =
  | { readonly of: 'files' | 'dirs' | 'users' | 'nothing' }
  | { readonly of: 'words'; readonly words: readonly string[] };

export interface CallOption {
  /** Flag and letter. */
  readonly names: readonly string[];
  readonly doc: string;
  /** The value's name in the help; null: it takes none. */
  readonly value: string | null;
  readonly values: Values;
  /** Accepted, but left out of the help. */
  readonly isListed: boolean;
  /** Names of those that it does not go with; itself, too, since it may be given once. */
  readonly excludes: readonly string[];
}

/** A program without one of its commands, or with one. */
export interface Call {
  readonly program: string;
  /** Null: the program alone. */
  readonly command: string | null;
  readonly doc: string;
  readonly options: readonly CallOption[];
  /** Words that may stand in the first place. */
  readonly commands: readonly { readonly name: string; readonly doc: string }[];
  /** What an argument after the options can be. */
  readonly argument: Values;
}

/** The first sentence, which fits into a list. */
const shortDoc = (doc: string): string =>
  (/^.*?[^.]\.(?= [A-Z`])/.exec(doc)?.[0] ?? doc).replace(/\.$/, '').replaceAll('`', '');

function optionsOf({ options, listed }: CommandEntry): CallOption[] {
  return Object.entries(options).map(([name, entry]) => ({
    names: namesOf(entry),
    doc: shortDoc(entry.doc),
    value: entry.kind === 'flag' ? null : (entry.value ?? 'VALUE'),
    values: valuesOf(entry),
    isListed: listed?.includes(name) !== false,
    excludes: [...namesOf(entry), ...conflictsOf(name, options)],
  }));
}

/** Both ways: the table names them at one of the two. */
const conflictsOf = (name: string, options: OptionTable): string[] =>
  Object.entries(options)
    .filter(([other, entry]) => options[name]?.conflicts?.includes(other) || entry.conflicts?.includes(name))
    .flatMap(([, entry]) => namesOf(entry));

const namesOf = ({ flag, short }: OptionEntry): string[] => (short === undefined ? [flag] : [flag, short]);

function valuesOf({ kind, value }: OptionEntry): Values {
  if (kind in choices) return { of: 'words', words: choices[kind as keyof typeof choices] };
  if (kind === 'osUser') return { of: 'users' };
  if (kind === 'path') return { of: value === 'FILE' ? 'files' : 'dirs' };
  return { of: 'nothing' };
}

function argumentOf({ argChoices, passesOptions }: CommandEntry): Values {
  if (argChoices !== undefined) return { of: 'words', words: argChoices };
  return { of: passesOptions === true ? 'files' : 'nothing' };
}

function flag(names: readonly string[], doc: string): CallOption {
  return {
    ...{ names, doc: shortDoc(doc), value: null, isListed: true, excludes: names },
    values: { of: 'nothing' },
  };
}

const help: CallOption = flag(['--help', '-h'], 'Print the help and exit.');
const version: CallOption = flag(['--version'], 'Print the version and exit.');

/** Everything that can be completed, from the tables of options. */
export const calls: readonly Call[] = programs.flatMap(({ name: program, doc, main, commands }) => {
  const visible = Object.entries(commands).filter(([, { hidden }]) => hidden !== true);
  // Other names are not offered, but what can follow them is.
  const others = Object.values(commands).flatMap((entry) =>
    (entry.aliases ?? []).map((alias) => [alias, entry] as const),
  );
  const words = visible.map(([name, entry]) => ({ name, doc: entry.doc }));
  // Where the parser answers to `help`: in a program that consists of commands.
  const helpWord = main === null ? [{ name: 'help', doc: 'Print the help of a command and exit.' }] : [];
  const ofHelp = { of: 'words', words: words.map(({ name }) => name) } as const;
  const call = (command: string, entry: CommandEntry): Call => ({
    ...{ program, command, doc: entry.doc, commands: [], argument: argumentOf(entry) },
    options: [...optionsOf(entry), help, ...(main === null ? [] : [version])],
  });
  return [
    {
      ...{ program, command: null, doc, argument: { of: 'nothing' } },
      options: [...(main === null ? [] : optionsOf(main)), help, version],
      commands: [...words, ...helpWord],
    } satisfies Call,
    ...[...Object.entries(commands), ...others].map(([command, entry]) => call(command, entry)),
    ...helpWord.map(({ name, doc }) => ({
      ...call(name, { doc, options: {} }),
      ...{ options: [], argument: ofHelp },
    })),
  ];
});
