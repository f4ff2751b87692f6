import type { CommandEntry } from '../../config/options/entry.ts';
import type { Known } from './known.ts';
import { unknown } from './nearest.ts';

const ofEveryHelp = ['--help', '-h', '--version'];
/** What may stand before a program. */
const starters: ReadonlySet<string> = new Set(['sudo', 'exec', 'env', 'nohup', 'time', '$']);
const isPlaceholder = (word: string): boolean => /^[[<…]|^\.\.\.$/.test(word);

/** What is wrong with a call of one of our programs or scripts; null when it calls something else. */
export function wrongInCall(given: readonly string[], known: Known): string[] | null {
  const words = given.slice(given.findIndex((word) => !starters.has(word)));
  const [first = '', second = ''] = words;
  if (first === 'npm') return wrongInNpm(words.slice(1), known);
  const byNode = first === 'node';
  const built = /^(?:\.\/)?dist\/([\w-]+)\.js$/.exec(byNode ? second : first)?.[1];
  const name = built ?? first.split('/').at(-1) ?? '';
  const commands = known.programs.get(name);
  if (commands !== undefined) return wrongInProgram(name, words.slice(byNode ? 2 : 1), commands);
  return built === undefined ? null : [unknown(`the program dist/${built}.js`, built, known.programs.keys())];
}

function wrongInProgram(
  name: string,
  args: readonly string[],
  commands: ReadonlyMap<string, CommandEntry>,
): string[] {
  const word = args.find((arg) => !isPlaceholder(arg)) ?? '';
  const isCommand = commands.size > 1 && /^[a-z]/.test(word);
  const command = commands.get(isCommand ? word : '');
  if (isCommand && command === undefined && word !== 'help')
    return [unknown(`the command ${name} ${word}`, word, commands.keys())];
  if (command?.passesOptions === true) return [];
  // Without a command: those of any.
  const taken = command === undefined ? [...commands.values()] : [command];
  const entries = taken.flatMap(({ options }) => Object.values(options));
  const flags = new Set([...ofEveryHelp, ...entries.flatMap(({ flag, short }) => [flag, short ?? flag])]);
  return args.flatMap((arg) => {
    const option = /^\[?(--[a-z][\w-]*|-[A-Za-z])/.exec(arg)?.[1];
    if (option === undefined || flags.has(option)) return [];
    return [unknown(`the option ${option} of ${name}${isCommand ? ` ${word}` : ''}`, option, flags)];
  });
}

function wrongInNpm([verb = '', ...args]: readonly string[], { scripts, sources }: Known): string[] {
  const script = verb === 'run' ? (args[0] ?? '') : verb;
  if (verb !== 'run' && verb !== 'start' && verb !== 'test') return [];
  if (!scripts.has(script)) return [unknown(`the script npm run ${script}`, script, scripts)];
  // Options of scripts are in no table.
  return args
    .filter((arg) => /^--[a-z]/.test(arg))
    .filter((option) => !sources.includes(`'${option}'`) && !sources.includes(` ${option.slice(2)}: {`))
    .map((option) => `the option ${option} of npm run ${script} does not exist`);
}

/** What is wrong with the options of our programs, wherever they stand in a line: `ExecStart=/usr/bin/compute_ctl --pgdata x`. */
export function wrongInLine(line: string, known: Known): string[] {
  const words = line.split(/[\s=,"'[\]]+/);
  const at = words.findIndex((word) => known.programs.has(word.split('/').at(-1) ?? ''));
  const name = words[at]?.split('/').at(-1) ?? '';
  const commands = known.programs.get(name);
  if (commands === undefined) return [];
  const command = words[at + 1] ?? '';
  const args = words.slice(at + 1).filter((word) => word === command || word.startsWith('-'));
  // Anything but a command may follow the name: in a drawing, a list of packages.
  return wrongInProgram(
    name,
    commands.has(command) ? args : args.filter((word) => word.startsWith('-')),
    commands,
  );
}
