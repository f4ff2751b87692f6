import type { Command } from 'commander';

/** A word that may be shown: not a value, which may hold a secret. */
const word = /^[a-z][a-z_-]{0,30}$/;

/** The parser's message for a wrong command line, with what was probably meant.
 *  @param message of the parser, from `error: `
 *  @param argv as given, where a program has commands beside its own options
 *  @param names of those commands */
export function clearer(
  message: string,
  command: Command,
  argv: readonly string[] = [],
  names: readonly string[] = [],
): string {
  const [, option] = /^error: unknown option '(--?[^'=]*)/.exec(message) ?? [];
  if (option !== undefined) return unknownOption(option, command);
  const [, unknown] = /^error: unknown command '([^']*)'/.exec(message) ?? [];
  if (unknown !== undefined && word.test(unknown)) return unknownCommand(unknown, names);
  if (!message.startsWith('error: too many arguments')) return message;
  const [first = ''] = argv;
  if (!names.includes(first) && names.length > 0 && word.test(first)) return unknownCommand(first, names);
  const known = command.registeredArguments;
  const shown = command.args.slice(known.length).find((one) => word.test(one));
  const takes = known.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`)).join(' ');
  const why =
    takes === '' ? 'options begin with --, and their values follow them' : `${command.name()} takes ${takes}`;
  return `error: unexpected argument${shown === undefined ? '' : ` '${shown}'`}: ${why}`;
}

function unknownOption(given: string, { options }: Command): string {
  const flags = options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]));
  const longer =
    given.startsWith('--') && given.length > 3 ? flags.filter((flag) => flag.startsWith(given)) : [];
  const meant = longer.length > 0 ? longer : nearest(given, flags);
  return `error: unknown option '${given}'${question(meant)}`;
}

const unknownCommand = (given: string, names: readonly string[]): string =>
  `error: unknown command '${given}'${question(nearest(given, names))}; the commands are ${names.join(', ')}`;

/** ` (did you mean "x"?)`, or nothing when none of the names is close. For words that hold no secret. */
export const did = (given: string, names: readonly string[]): string =>
  question(nearest(given, names).map((name) => JSON.stringify(name)));

const question = (meant: readonly string[]): string =>
  meant.length === 0 ? '' : ` (did you mean ${listOf(meant)}?)`;

const listOf = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

/** Those that differ in at most two letters, or in a third of them. */
function nearest(given: string, names: readonly string[]): string[] {
  const within = names
    .map((name) => ({ name, far: distance(given, name) }))
    .filter(({ name, far }) => far <= Math.max(2, Math.floor(name.length / 3)) && far < given.length);
  const least = Math.min(...within.map(({ far }) => far));
  return within.filter(({ far }) => far === least).map(({ name }) => name);
}

/** Letters to insert, remove or replace. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [at, letter] of from.split('').entries()) {
    const next = [at + 1];
    for (const [column, other] of to.split('').entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
