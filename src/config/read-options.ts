import type { Command } from 'commander';
import { ComputeError, messageOf } from '../core/errors.ts';
import { attributeOf } from './command.ts';
import type { OptionEntry, OptionTable, Values } from './options/entry.ts';
import { readValue } from './values.ts';

export interface ReadOptions<T extends OptionTable> {
  readonly values: Values<T>;
  /** Names of the options that were on the command line or in the environment. */
  readonly given: ReadonlySet<keyof T>;
}

/** A table's options after the command line was parsed: as given, else from the environment, else the default.
 *  @throws ComputeError `usage` for a variable that cannot be read */
export function readOptions<T extends OptionTable>(
  command: Command,
  table: T,
  env: NodeJS.ProcessEnv,
): ReadOptions<T> {
  const given = new Set<keyof T>();
  const values: Record<string, unknown> = {};
  const parsed = command.opts<Record<string, unknown>>();
  for (const [name, entry] of Object.entries(table)) {
    const onCommandLine = parsed[attributeOf(entry)];
    const fromEnv = entry.env === undefined ? undefined : env[entry.env];
    if (onCommandLine !== undefined || fromEnv !== undefined) given.add(name);
    values[name] =
      onCommandLine ?? (fromEnv === undefined ? entry.fallback : readVariable(command, entry, fromEnv));
  }
  return { values: values as Values<T>, given };
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
