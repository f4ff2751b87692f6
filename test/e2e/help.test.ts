import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { startProgram } from '../support/program.ts';

const reference = readFileSync(
  fileURLToPath(new URL('../../docs/reference/cli.md', import.meta.url)),
  'utf8',
);

type ProgramName = Parameters<typeof startProgram>[0];

interface Section {
  readonly words: string;
  readonly text: string;
}

/** The sections of the page that are named after what is typed. */
const sections: readonly Section[] = reference
  .split(/^## /m)
  .slice(1)
  .map((section) => ({ words: section.split('\n', 1)[0] ?? '', text: section }))
  .filter(({ words }) => words !== 'Environment');

interface Shown {
  readonly flags: string;
  readonly default: string;
  readonly doc: string;
  readonly env: string;
}

const byFlags = (a: Shown, b: Shown): number => (a.flags < b.flags ? -1 : 1);

/** The rows of the tables of options. */
function onPage({ text }: Section): Shown[] {
  const plain = (cell: string): string => cell.replaceAll('`', '').trim();
  const rows = [...text.matchAll(/^\| (`-.*)\|$/gm)].map(([, row = '']) => row.split(/(?<!\\)\|/));
  return rows
    .map(([flags = '', fallback = '', meaning = '']) => ({
      flags: plain(flags).replaceAll('\\|', '|'),
      default: plain(fallback),
      doc: plain(meaning)
        .replace(/ (?:Environment: |Not together with ).*$/, '')
        .replaceAll('\\|', '|'),
      env: /Environment: `(\w+)`/.exec(meaning)?.[1] ?? '',
    }))
    .sort(byFlags);
}

/** The options that a help lists, but for those that every help has. */
function inHelp(help: string): Shown[] {
  const joined = help.replaceAll(/\n {6,}/g, ' ');
  return [...joined.matchAll(/^ {2}(-.*?) {2,}(.*)$/gm)]
    .map(([, flags = '', text = '']) => {
      const [, doc = '', facts = ''] =
        /^(.*?)(?: \(((?:default: |env: ).*)\))?$/.exec(text.replaceAll(/\s+/g, ' ')) ?? [];
      return {
        flags: flags.replace(/<(.*)>/, '$1'),
        default: /default: (.*?)(?=, env: |$)/.exec(facts)?.[1] ?? '',
        doc: doc.replaceAll('`', ''),
        env: /env: (\w+)/.exec(facts)?.[1] ?? '',
      };
    })
    .filter(({ flags }) => flags !== '-h, --help' && flags !== '--version')
    .sort(byFlags);
}

async function helpOf(words: string): Promise<string> {
  const [program, ...command] = words.split(' ') as [ProgramName, ...string[]];
  const run = startProgram(program, [...command, '--help']);
  expect(await run.exited()).toBe(0);
  expect(run.stderr()).toBe('');
  return run.stdout();
}

describe.each(sections)('$words --help', (section) => {
  test('lists the options of its section in the reference, with the same words', async () => {
    expect(inHelp(await helpOf(section.words))).toEqual(onPage(section));
  });
});

/** Those that `up` starts. */
const hidden = new Set(['compute-local next', 'compute-local storage']);

test('every command that the help of a program lists has a section, and the other way round', async () => {
  for (const program of ['compute_ctl', 'compute-local', 'vm-monitor']) {
    const list = (await helpOf(program)).split('\nCommands:\n')[1] ?? '';
    const listed = [...list.matchAll(/^ {2}(\w+)(?:\|\w+)? .*$/gm)].map(([, name]) => `${program} ${name}`);
    const described = sections
      .map(({ words }) => words)
      .filter((words) => words.startsWith(`${program} `) && !hidden.has(words));
    expect(listed.filter((words) => words !== 'compute-local help')).toEqual(described);
  }
});

test('each program says its version in one line', async () => {
  for (const program of ['compute_ctl', 'compute-local', 'vm-monitor'] as const) {
    const run = startProgram(program, ['--version']);
    expect(await run.exited()).toBe(0);
    expect(run.stdout()).toMatch(/^(?:compute_ctl )?\d+\.\d+\.\d+(?: \(build \S+\))?\n$/);
  }
});
