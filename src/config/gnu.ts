import { ComputeError } from '../core/errors.ts';
import type { OptionTable } from './options/entry.ts';

/** Rewrites what the parser reads differently: `-D=x` becomes `--pgdata=x`, and a word that starts with a dash is not a
 *  value, so that after a forgotten value the next option is not taken for it.
 *  @throws ComputeError `usage` */
export function normalizeArgv(argv: readonly string[], table: OptionTable): string[] {
  const takesValue: ReadonlyMap<string, string> = new Map(
    Object.values(table)
      .filter(({ kind }) => kind !== 'flag')
      .flatMap(({ flag, short }) => [flag, short ?? flag].map((name) => [name, flag] as const)),
  );
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    const flag = takesValue.get(word);
    const joined = /^(-[A-Za-z])=/.exec(word);
    const long = joined === null ? undefined : takesValue.get(joined[1] ?? '');
    if (word === '--') return [...words, ...argv.slice(at)];
    if (long !== undefined) words.push(`${long}=${word.slice(3)}`);
    else if (flag === undefined) words.push(withoutUnknownValue(word, takesValue));
    else {
      const value = argv[++at];
      if (value === undefined) words.push(word);
      else words.push(`${flag}=${checkValue(word, value)}`);
    }
  }
  return words;
}

/** An error about an unknown option does not show its value: the option may be misspelt, and the value a secret. */
function withoutUnknownValue(word: string, known: ReadonlyMap<string, string>): string {
  const [name = ''] = word.split('=', 1);
  return !word.startsWith('--') || name === word || known.has(name) ? word : `${name}=`;
}

function checkValue(option: string, value: string): string {
  if (!/^-./.test(value)) return value;
  throw new ComputeError('usage', `option '${option}' needs a value, found '${value.split('=')[0]}'`, {
    hint: `write a value that starts with a dash as ${option}=VALUE`,
  });
}
