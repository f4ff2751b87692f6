import type { Command } from 'commander';
import { ComputeError, messageOf } from '../core/errors.ts';
import { attributeOf } from './command.ts';
import type { OptionEntry, OptionTable, Values } from './options/entry.ts';
import { readValue } from './values.ts';

/** A table's options after the command line was parsed: as given, else from the environment, else the default.
 *  @throws ComputeError `usage` for a variable that cannot be read */
export function readOptions<T extends OptionTable>(
  command: Command,
  table: T,
  env: NodeJS.ProcessEnv,
): Values<T> {
  const values: Record<string, unknown> = {};
  const parsed = command.opts<Record<string, unknown>>();
  for (const [name, entry] of Object.entries(table)) {
    const onCommandLine = parsed[attributeOf(entry)];
    const fromEnv = entry.env === undefined ? undefined : env[entry.env];
    values[name] =
      onCommandLine ?? (fromEnv === undefined ? entry.fallback : readVariable(command, entry, fromEnv));
  }
  return values as Values<T>;
}

function readVariable(command: Command, { env, kind }: OptionEntry, text: string): unknown {
  try {
    return readValue(kind, text);
  } catch (error) {
    const message = `environment variable ${env} is invalid. ${messageOf(error)}`;
    const words = command.parent === null ? command.name() : `${command.parent.name()} ${command.name()}`;
    throw new ComputeError('usage', message, { hint: `see '${words} --help'` });
  }
}
