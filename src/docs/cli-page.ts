import { environmentEntries } from '../config/environment.ts';
import { type OptionEntry, groups, optionEntries } from '../config/options.ts';
import { code, page, table } from './markdown.ts';

export const cliPage = (): string =>
  page(
    'Command line of compute_ctl',
    '`compute_ctl [options]` is the daemon. `compute_ctl check [options]` validates a config and prints it resolved, ' +
      'with its secrets masked (`--json`: as JSON), and touches nothing. `--help` and `--version` print and exit.',
    'Values are given as `-D x`, `-Dx`, `-D=x`, `--pgdata x` or `--pgdata=x`. Long options are not abbreviated, and ' +
      'an option given twice is an error. A usage error exits with code 2.',
    ...Object.entries(groups).map(([group, title]) => section(title.replace(/:$/, ''), group)),
    '## Environment',
    table(['Variable', 'Meaning'], [...optionVariables(), ...variables()]),
  );

function section(title: string, group: string): string {
  const entries = optionEntries.map(([, entry]) => entry).filter((entry) => entry.group === group);
  return `## ${title}\n\n${table(['Option', 'Default', 'Meaning'], entries.map(row))}`;
}

function row(entry: OptionEntry): string[] {
  const short = entry.short === undefined ? '' : `${code(entry.short)}, `;
  const value = entry.kind === 'flag' ? '' : ` ${entry.value}`;
  const fallback = entry.fallback === null || entry.kind === 'flag' ? '' : code(String(entry.fallback));
  return [`${short}${code(`${entry.flag}${value}`)}`, fallback, meaning(entry)];
}

function meaning(entry: OptionEntry): string {
  const conflicts = entry.conflicts?.map(flagOf).map(code).join(', ');
  const facts = [
    entry.doc,
    entry.env === undefined ? '' : `Environment: ${code(entry.env)}.`,
    conflicts === undefined ? '' : `Not together with ${conflicts}.`,
    entry.implementedBy === undefined ? '' : 'Accepted, but not built yet.',
  ];
  return facts.filter((fact) => fact !== '').join(' ');
}

const flagOf = (name: string): string => optionEntries.find(([one]) => one === name)?.[1].flag ?? name;

const optionVariables = (): string[][] =>
  optionEntries.flatMap(([, { env, flag }]) =>
    env === undefined ? [] : [[code(env), `Default of ${code(flag)}; an empty value counts as given.`]],
  );

const variables = (): string[][] =>
  environmentEntries.map(([name, { doc, implementedBy }]) => [
    code(name),
    implementedBy === undefined ? doc : `${doc} Not built yet.`,
  ]);
