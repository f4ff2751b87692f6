import { Command, InvalidArgumentError, Option } from 'commander';
import { messageOf } from '../core/errors.ts';
import { type OptionEntry, groups, optionEntries, optionTable } from './options.ts';
import { readValue } from './values.ts';

const about =
  'Turns an empty directory into a running, configured Postgres from one JSON spec, watches it and leaves cleanly.';
/** What the program can do besides running a compute. */
export const subcommands = {
  check: 'Validates a config and prints it resolved, with its secrets masked. Touches nothing.',
  plan: 'Prints the statements that a running Postgres lacks to be as the spec asks. Writes nothing; exits 2 when there are any.',
} as const;

export type Subcommand = keyof typeof subcommands;

/** Builds the parser of the daemon's command line, or of `check`, from the table of options. */
export function buildCommand(subcommand: Subcommand | null, version: string): Command {
  const command = new Command(subcommand === null ? 'compute_ctl' : `compute_ctl ${subcommand}`)
    .description(subcommand === null ? about : subcommands[subcommand])
    .optionsGroup(groups.other)
    .helpOption('-h, --help', 'Print this and exit.')
    .exitOverride()
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: 100 });
  for (const [, entry] of optionEntries)
    addOption(command, entry, subcommand !== null && !concerns(subcommand, entry));
  command.version(version, '--version', 'Print the version and exit.');
  if (subcommand !== null) command.addOption(new Option('--json', 'Print JSON.').helpGroup(groups.other));
  else command.addHelpText('after', `\nCommands:${listed}`);
  return command;
}

const listed = Object.entries(subcommands)
  .map(([name, doc]) => `\n  ${`${name} [options]`.padEnd(18)}${doc}`)
  .join('');

/** Both accept the whole command line of a daemon, but list only what they read. */
const concerns = (subcommand: Subcommand, { group, flag }: OptionEntry): boolean =>
  group === 'source' ||
  group === 'older' ||
  flag === '--control-plane-timeout' ||
  (subcommand === 'plan' && (flag === '--connstr' || flag === '--privileged-role-name'));

const urls: ReadonlySet<string> = new Set(['httpUrl', 'gatewayUrl']);

function addOption(command: Command, entry: OptionEntry, hidden: boolean): void {
  const value = entry.kind === 'flag' ? '' : ` <${entry.value}>`;
  const flags = `${entry.short === undefined ? '' : `${entry.short}, `}${entry.flag}${value}`;
  const option = new Option(flags, describe(entry)).helpGroup(groups[entry.group]).hideHelp(hidden);
  option.conflicts((entry.conflicts ?? []).map(attributeOf));
  if (entry.kind !== 'flag') {
    option.argParser((text) => {
      try {
        return readValue(entry.kind, text);
      } catch (error) {
        const reason = messageOf(error);
        // The parser would quote the text, and a URL may hold a login.
        if (urls.has(entry.kind)) return command.error(`error: option '${flags}' is invalid. ${reason}`);
        throw new InvalidArgumentError(reason);
      }
    });
  }
  let seen = 0;
  command.addOption(option);
  command.on(`option:${option.name()}`, () => {
    if (++seen > 1) command.error(`error: option '${flags}' cannot be used multiple times`);
  });
}

function describe(entry: OptionEntry): string {
  const facts = [
    entry.fallback === null || entry.kind === 'flag' ? '' : `default: ${entry.fallback}`,
    entry.env === undefined ? '' : `env: ${entry.env}`,
    entry.implementedBy === undefined ? '' : 'not built yet',
  ].filter((fact) => fact !== '');
  return facts.length === 0 ? entry.doc : `${entry.doc} (${facts.join(', ')})`;
}

/** The parser names values after the flag, the table after what they hold. */
const attributeOf = (name: string): string =>
  new Option(optionTable[name as keyof typeof optionTable].flag).attributeName();
