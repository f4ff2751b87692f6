import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OptionEntry } from '../../src/config/options/entry.ts';
import { commandLines, programs } from '../../src/config/options/programs.ts';
import { choices } from '../../src/config/values.ts';
import { onPath } from '../support/on-path.ts';
import { programFile } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';

const root = new URL('../..', import.meta.url).pathname;

/** With a file and a directory in it. */
let dir: string;
beforeAll(() => {
  dir = scratchDir('completion');
  mkdirSync(join(dir, 'here/folder'), { recursive: true });
  writeFileSync(join(dir, 'here/a file.json'), '');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const printed = (...args: string[]): string =>
  execFileSync(process.execPath, [programFile('compute_ctl'), ...args], { encoding: 'utf8' });

const shells = {
  bash: { needs: ['bash', 'python3'], complete: typed('bash') },
  zsh: { needs: ['zsh', 'python3'], complete: typed('zsh') },
  // It says by itself what TAB would offer.
  fish: {
    needs: ['fish'],
    complete: (script: string, lines: readonly string[]): string[][] => {
      const asked = lines.map((line) => `complete -C '${line}'; echo =end=`).join('; ');
      const out = execFileSync('fish', ['--no-config', '-c', `source ${script}; ${asked}`], {
        encoding: 'utf8',
      });
      return out
        .split('=end=\n')
        .slice(0, -1)
        .map((answer) => answer.split('\n').slice(0, -1))
        .map((answer) => answer.map((word) => word.split('\t')[0] ?? ''));
    },
  },
};

/** Presses TAB in a terminal. The words that were there before are left out of the answers. */
function typed(shell: string) {
  return (script: string, lines: readonly string[]): string[][] => {
    const out = execFileSync('python3', [join(root, 'test/support/tab.py'), shell, script], {
      input: JSON.stringify(lines),
      encoding: 'utf8',
      env: { ...process.env, HOME: dir },
    });
    return (JSON.parse(out) as string[][]).map((words, at) =>
      words.slice((lines[at] ?? '').split(/(?<!\\) /).length - 1),
    );
  };
}

interface Case {
  readonly line: string;
  readonly offers: readonly string[];
  /** There is more. */
  readonly among?: true;
}

const listedOf = ([, { options, listed }]: (typeof commandLines)[number]): OptionEntry[] =>
  Object.entries(options)
    .filter(([name]) => listed?.includes(name) !== false)
    .map(([, entry]) => entry);

function casesOf(call: (typeof commandLines)[number]): Case[] {
  const [words] = call;
  const options = listedOf(call);
  const version = words.startsWith('compute-local') ? [] : ['--version'];
  return [
    { line: `${words} --`, offers: [...options.map(({ flag }) => flag), '--help', ...version] },
    ...options.flatMap(({ flag, short, kind, value }): Case[] => {
      const names = short === undefined ? [flag] : [flag, short];
      if (kind in choices)
        return names.map((name) => ({
          line: `${words} ${name} `,
          offers: choices[kind as keyof typeof choices],
        }));
      if (kind === 'osUser') return [{ line: `${words} ${flag} ro`, offers: ['root'], among: true }];
      if (kind !== 'path') return [];
      const offers = value === 'FILE' ? ['a file.json', 'folder'] : ['folder'];
      return names.map((name) => ({
        line: `${words} ${name} ${dir}/here/`,
        offers: offers.map((each) => `${dir}/here/${each}`),
      }));
    }),
  ];
}

const fixedCases: readonly Case[] = [
  { line: 'compute-local st', offers: ['start', 'status', 'stop'] },
  { line: 'compute-local help pro', offers: ['promote'] },
  { line: 'compute_ctl completion ', offers: ['bash', 'fish', 'zsh'] },
  { line: 'compute-local man ', offers: programs.map(({ name }) => name) },
  // An option is given once, by either name, and not with those that it does not go with.
  { line: 'compute_ctl --config x --conf', offers: [] },
  { line: 'compute_ctl -c x --spec', offers: [] },
  { line: 'compute_ctl --pgdata x --spec', offers: ['--spec', '--spec-path'] },
  { line: 'compute-local up --replica --rep', offers: [] },
  // The other name of a command.
  { line: 'compute-local ls --j', offers: ['--json'] },
  // A command that the help does not list, and options that it does not list.
  { line: 'compute-local sto', offers: ['stop'] },
  { line: 'compute-local storage --compact', offers: ['--compact-at'] },
  { line: 'compute_ctl check --log-format ', offers: ['json', 'text'] },
  { line: 'compute_ctl --log-format=j', offers: ['--log-format=json'] },
  // Commands stand in the first place only.
  { line: 'compute_ctl --pgdata x che', offers: [] },
];

describe.each(Object.entries(shells))('the completion of %s', (shell, { needs, complete }) => {
  test.skipIf(!needs.every(onPath))('offers what the tables of options say, in the shell itself', () => {
    const script = join(dir, shell === 'zsh' ? '_compute_ctl' : `compute_ctl.${shell}`);
    writeFileSync(script, printed('completion', shell));
    const commandsOf = programs
      .filter(({ commands }) => Object.keys(commands).length > 0)
      .map(({ name, main, commands }): Case => {
        const visible = Object.entries(commands).filter(([, { hidden }]) => hidden !== true);
        return {
          line: `${name} `,
          offers: [...visible.map(([word]) => word), ...(main === null ? ['help'] : [])],
        };
      });
    const quoted: Case = {
      line: String.raw`compute_ctl check --config ${dir}/here/a\ f`,
      offers: [`${dir}/here/a file.json`],
    };
    const cases = [...commandLines.flatMap(casesOf), ...commandsOf, ...fixedCases, quoted];
    const answers = complete(
      script,
      cases.map(({ line }) => line),
    );
    const found = cases.map(({ line, offers, among }, at) => {
      const words = (answers[at] ?? []).map((word) => word.replaceAll('\\', '').replace(/(?<=.)\/$/, ''));
      // Nothing to offer: what was typed stays.
      const last = line.split(' ').at(-1) ?? '';
      const real = words.filter((word) => word !== last || offers.includes(word));
      return { line, offers: sorted(among === true ? real.filter((word) => offers.includes(word)) : real) };
    });
    expect(found).toEqual(cases.map(({ line, offers }) => ({ line, offers: sorted(offers) })));
  });
});

const sorted = (words: readonly string[]): string[] => words.toSorted((a, b) => (a < b ? -1 : 1));

describe.each(programs)('the manual page of $name', (program) => {
  const { name } = program;
  const page = join(root, `dist/man/${name}.1`);

  test('is printed by the programs, too', () => {
    expect(printed('man', name)).toBe(readFileSync(page, 'utf8'));
  });

  test.skipIf(!onPath('mandoc'))('is well-formed, and shows every command and every option', () => {
    // It has no date, so that each build of a version gives the same.
    const run = (...args: string[]): string => {
      try {
        return execFileSync('mandoc', [...args, page], { encoding: 'utf8' });
      } catch (error) {
        return (error as { stdout: string }).stdout;
      }
    };
    const complaints = run('-T', 'lint').split('\n').slice(0, -1);
    expect(complaints.filter((line) => !line.includes('missing date'))).toEqual([]);
    // Bold is a letter, a backspace and the letter again.
    const text = run('-T', 'ascii', '-O', 'width=400').replaceAll(new RegExp('.\b', 'g'), '');
    const flags = commandLines
      .filter(([words]) => words.split(' ')[0] === name)
      .flatMap((call) => listedOf(call).map(({ flag }) => flag));
    const headings = Object.keys(program.commands).map((word) => `\n   ${word}`);
    const wanted = [...flags, ...headings];
    expect(wanted.filter((each) => !text.includes(each))).toEqual([]);
  });
});
