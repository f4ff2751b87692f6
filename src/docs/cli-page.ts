import { environmentEntries } from '../config/environment.ts';
import { type CommandEntry, type OptionEntry, type ProgramEntry, groups } from '../config/options/entry.ts';
import { commandLines, programs } from '../config/options/programs.ts';
import { defaultOf } from '../config/options/shown.ts';
import { code, page, table } from './markdown.ts';

const ofComputeCtl =
  'Values are given as `-D x`, `-Dx`, `-D=x`, `--pgdata x` or `--pgdata=x`. Long options are not abbreviated, and ' +
  'an option given twice is an error. `check` and `plan` take every option of a running compute; those that they read ' +
  'are listed.';

export const cliPage = (): string =>
  page(
    'Command lines',
    'Every program and every command prints its options with `--help`. A program prints its version with `--version`. ' +
      'A usage error exits with code 2.',
    ...programs.flatMap(sections),
    '## Environment',
    table(['Variable', 'Meaning'], [...optionVariables(), ...variables()]),
  );

function sections({ name, doc, main, commands }: ProgramEntry): string[] {
  const rows = Object.entries(commands).map(([word, { doc, args, hidden }]) => [
    code(`${name} ${word}${args === undefined ? '' : ` ${args}`}`),
    hidden === true ? `${doc} Not listed by help.` : doc,
  ]);
  return [
    `## ${name}`,
    doc,
    ...(name === 'compute_ctl' ? [ofComputeCtl] : []),
    ...(rows.length === 0 ? [] : [table(['Command', 'Meaning'], rows)]),
    ...(main === null ? [] : [optionsOf(main)]),
    ...Object.entries(commands).flatMap(([word, entry]) => [
      `## ${name} ${word}`,
      entry.doc,
      ...(Object.keys(entry.options).length === 0 ? [] : [optionsOf(entry)]),
    ]),
  ];
}

/** One table for each group; without a heading if there is only one group. */
function optionsOf({ options, listed }: CommandEntry): string {
  const shown = Object.entries(options).filter(([name]) => listed?.includes(name) !== false);
  const tables = Object.entries(groups).flatMap(([group, title]) => {
    const rows = shown.filter(([, entry]) => entry.group === group).map(([, entry]) => row(entry, options));
    const heading = group === 'options' ? '' : `### ${title.replace(/:$/, '')}\n\n`;
    return rows.length === 0 ? [] : [`${heading}${table(['Option', 'Default', 'Meaning'], rows)}`];
  });
  return tables.join('\n\n');
}

function row(entry: OptionEntry, options: CommandEntry['options']): string[] {
  const short = entry.short === undefined ? '' : `${code(entry.short)}, `;
  const value = entry.kind === 'flag' ? '' : ` ${entry.value}`;
  const shown = defaultOf(entry);
  const fallback = shown === null ? '' : entry.fallback === null ? shown : code(shown);
  return [`${short}${code(`${entry.flag}${value}`)}`, fallback, meaning(entry, options)];
}

function meaning(entry: OptionEntry, options: CommandEntry['options']): string {
  const conflicts = entry.conflicts?.map((name) => code(options[name]?.flag ?? name)).join(', ');
  const facts = [
    entry.doc,
    entry.env === undefined ? '' : `Environment: ${code(entry.env)}.`,
    conflicts === undefined ? '' : `Not together with ${conflicts}.`,
  ];
  return facts.filter((fact) => fact !== '').join(' ');
}

/** Each variable once: programs that share a variable use it for the same option. */
function optionVariables(): string[][] {
  const entries = commandLines.flatMap(([, { options }]) => Object.values(options));
  const flags = new Map(entries.flatMap(({ env, flag }) => (env === undefined ? [] : [[env, flag]])));
  return [...flags].map(([env, flag]) => [
    code(env),
    `Default of ${code(flag)}; an empty value counts as set.`,
  ]);
}

const variables = (): string[][] => environmentEntries.map(([name, { doc }]) => [code(name), doc]);
