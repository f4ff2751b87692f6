import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { messageOf } from '../core/errors.ts';
import { type CommandEntry, type OptionEntry, type ProgramEntry, groups } from './options/entry.ts';
import { defaultOf, flagsOf } from './options/shown.ts';
import { clearer } from './clearer.ts';
import { readValue } from './values.ts';

const helpWidth = 100;

/** Builds the parser of a program without commands, or of one command, from its table of options. It throws its errors
 *  instead of printing them, and has no defaults: `readOptions` adds those.
 *  @param words the words of the call, such as `compute_ctl check` */
export function buildCommand(words: string, entry: CommandEntry): Command {
  const command = base(words, entry.doc).optionsGroup(lastGroup(entry));
  command.configureOutput({ outputError: (text, write) => write(shown(clearer(text.trimEnd(), command))) });
  // The program that is called gets what is not ours.
  if (entry.passesOptions === true) command.allowUnknownOption();
  for (const one of entry.args?.split(' ') ?? []) {
    const argument = new Argument(one);
    command.addArgument(entry.argChoices === undefined ? argument : argument.choices(entry.argChoices));
  }
  for (const [name, option] of Object.entries(entry.options)) {
    const made = toOption(option, command);
    made.conflicts((option.conflicts ?? []).map((other) => attributeOf(entry.options[other])));
    command.addOption(made.hideHelp(entry.listed?.includes(name) === false));
  }
  return command;
}

/** Builds the parser of a program that consists of commands.
 *  @param act is called with the given command's name and parser
 *  @param called the first word of the call: where it is a command, the parsers of the others are not built */
export function buildProgram<P extends ProgramEntry>(
  { name, doc, commands }: P,
  version: string,
  act: (name: keyof P['commands'], command: Command) => Promise<void>,
  called?: string,
): Command {
  const program = withVersion(base(name, doc), version);
  const names = Object.keys(commands).filter((word) => commands[word]?.hidden !== true);
  program.configureOutput({
    outputError: (text, write) => write(shown(clearer(text.trimEnd(), program, program.args, names))),
  });
  program.helpCommand('help [command]', 'Print the help of a command and exit.');
  const all = Object.entries(commands);
  const only = all.filter(([word, { aliases = [] }]) => [word, ...aliases].includes(called ?? ''));
  for (const [word, entry] of only.length > 0 ? only : all) {
    const command = buildCommand(word, entry).showHelpAfterError(`Hint: see '${name} ${word} --help'`);
    command.aliases([...(entry.aliases ?? [])]).action(() => act(word, command));
    program.addCommand(command, { hidden: entry.hidden === true });
  }
  return program;
}

/** As every other error of the programs looks. */
const shown = (message: string): string => `${message.replace(/^error: /, 'Error: ')}\n`;

export const withVersion = (command: Command, version: string): Command =>
  command.version(version, '--version', 'Print the version and exit.');

/** Refuses an option that is given twice; otherwise the last one would win silently. */
export function refuseRepeats(command: Command): Command {
  for (const option of command.options) {
    let seen = 0;
    command.on(`option:${option.name()}`, () => {
      if (++seen > 1) command.error(`error: option '${option.flags}' cannot be used multiple times`);
    });
  }
  return command;
}

/** The help's list of commands, for a program that also runs without one. */
export function listCommands(commands: ProgramEntry['commands']): string {
  const lines = Object.entries(commands).map(([name, { doc, args }]) => [
    `${name} ${args ?? '[options]'}`,
    doc,
  ]);
  const width = Math.max(...lines.map(([call = '']) => call.length)) + 2;
  return `\nCommands:${lines.map(([call = '', doc]) => `\n  ${call.padEnd(width)}${doc}`).join('')}`;
}

/** The parser names each value after its flag; the table has names of its own. */
export const attributeOf = (entry: OptionEntry | undefined): string =>
  new Option(entry?.flag ?? '').attributeName();

const base = (words: string, doc: string): Command =>
  new Command(words)
    .description(doc)
    .helpOption('-h, --help', 'Print this and exit.')
    .exitOverride()
    .allowExcessArguments(false)
    .configureHelp({ helpWidth })
    .showHelpAfterError(`Hint: see '${words} --help'`);

/** The help's section for `--help` and `--version`. */
const lastGroup = ({ options }: CommandEntry): string =>
  Object.values(options).some(({ group }) => group === 'other') ? groups.other : groups.options;

const urls: ReadonlySet<string> = new Set(['httpUrl', 'gatewayUrl']);

function toOption(entry: OptionEntry, command: Command): Option {
  const option = new Option(flagsOf(entry), describe(entry)).helpGroup(groups[entry.group]);
  if (entry.required === true) option.makeOptionMandatory();
  if (entry.kind === 'flag') return option;
  return option.argParser((text) => {
    try {
      return readValue(entry.kind, text);
    } catch (error) {
      const reason = messageOf(error);
      // The parser would quote the text, and a URL may contain a password.
      if (urls.has(entry.kind))
        return command.error(`error: option '${flagsOf(entry)}' is invalid. ${reason}`);
      throw new InvalidArgumentError(reason);
    }
  });
}

function describe(entry: OptionEntry): string {
  const fallback = defaultOf(entry);
  const facts = [
    fallback === null ? '' : `default: ${fallback}`,
    entry.env === undefined ? '' : `env: ${entry.env}`,
  ].filter((fact) => fact !== '');
  return facts.length === 0 ? entry.doc : `${entry.doc} (${facts.join(', ')})`;
}
