import { Command, InvalidArgumentError, Option } from 'commander';
import { messageOf } from '../core/errors.ts';
import { type OptionEntry, groups, optionEntries, optionTable } from './options.ts';
import { readValue } from './values.ts';

const about =
  'Turns an empty directory into a running, configured Postgres from one JSON spec, watches it and leaves cleanly.';
const aboutCheck = 'Validates a config and prints it resolved, with its secrets masked. Touches nothing.';

/** Builds the parser of the daemon's command line, or of `check`, from the table of options. */
export function buildCommand(check: boolean, version: string): Command {
  const command = new Command(check ? 'compute_ctl check' : 'compute_ctl')
    .description(check ? aboutCheck : about)
    .optionsGroup(groups.other)
    .helpOption('-h, --help', 'Print this and exit.')
    .exitOverride()
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: 100 });
  for (const [, entry] of optionEntries) addOption(command, entry, check && !concernsCheck(entry));
  command.version(version, '--version', 'Print the version and exit.');
  if (check) command.addOption(new Option('--json', 'Print JSON.').helpGroup(groups.other));
  else command.addHelpText('after', `\nCommands:\n  check [options]   ${aboutCheck}`);
  return command;
}

/** `check` accepts the whole command line of a daemon, but lists only what it reads. */
const concernsCheck = ({ group, flag }: OptionEntry): boolean =>
  group === 'source' || group === 'older' || flag === '--control-plane-timeout';

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
        throw new InvalidArgumentError(messageOf(error));
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
