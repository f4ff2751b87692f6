import { environmentEntries } from '../config/environment.ts';
import { type CommandEntry, type OptionEntry, type ProgramEntry, groups } from '../config/options/entry.ts';
import { programs } from '../config/options/programs.ts';
import { defaultOf } from '../config/options/shown.ts';
import { buildVersion } from '../core/build.ts';
import { errorCodes } from '../core/errors.ts';

/** The manual page of a program, in the macros of man(7).
 *  @see https://man7.org/linux/man-pages/man7/man-pages.7.html for the order of the sections */
export function manPage(name: string): string {
  const program = programs.find((each) => each.name === name);
  if (program === undefined) throw new Error(`there is no program ${name}`);
  const { doc, main, commands } = program;
  const others = programs.map((each) => each.name).filter((other) => other !== name);
  return [
    `.TH ${name.toUpperCase().replaceAll('-', '\\-')} 1 "" "compute\\-ctl ${buildVersion}" "User Commands"`,
    // Names are searched for, and copied: they are not broken.
    '.nh',
    '.ad l',
    '.SH NAME',
    wrapped(`${plain(name)} \\- ${plain(lowerFirst(doc.replace(/\.$/, '')))}`),
    '.SH SYNOPSIS',
    ...synopsis(program),
    '.SH DESCRIPTION',
    prose(doc),
    ...(main === null ? [] : ['.SH OPTIONS', ...optionsOf(main), ...always()]),
    ...(Object.keys(commands).length === 0
      ? []
      : ['.SH COMMANDS', ...Object.entries(commands).flatMap(commandOf)]),
    '.SH ENVIRONMENT',
    ...environmentOf(program),
    '.SH EXIT STATUS',
    ...exitStatus(name),
    '.SH SEE ALSO',
    others.map((other) => `.BR ${plain(other)} (1)`).join(' ,\n'),
    '',
  ].join('\n');
}

const always = (): string[] => [
  ...entry(['-h', '--help'], null, 'Print the help and exit.'),
  ...entry(['--version'], null, 'Print the version and exit.'),
];

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

function synopsis({ name, main, commands }: ProgramEntry): string[] {
  const required = name === 'compute_ctl' ? ' \\fB\\-D\\fR \\fIDIR\\fR \\fB\\-C\\fR \\fIURL\\fR' : '';
  const lines = [
    ...(main === null
      ? []
      : [`.B ${plain(name)}\n${required.trim()}\n[\\fIoptions\\fR]`.replace('\n\n', '\n')]),
    ...Object.entries(commands)
      .filter(([, { hidden }]) => hidden !== true)
      .map(([word, { options, args }]) => {
        const rest = [
          ...(Object.keys(options).length === 0 ? [] : ['[\\fIoptions\\fR]']),
          ...(args === undefined ? [] : [plain(args)]),
        ];
        return [`.B ${plain(`${name} ${word}`)}`, ...rest].join('\n');
      }),
  ];
  return lines.flatMap((line, at) => (at === 0 ? [line] : ['.br', line]));
}

function commandOf([word, command]: [string, CommandEntry]): string[] {
  const note = command.hidden === true ? ' Not listed by the help.' : '';
  return [
    `.SS ${plain(word)}${command.args === undefined ? '' : ` ${plain(command.args)}`}`,
    prose(command.doc + note),
    ...optionsOf(command),
  ];
}

/** By group; without a heading for each when there is only one. */
function optionsOf({ options, listed }: CommandEntry): string[] {
  const shown = Object.entries(options).filter(([name]) => listed?.includes(name) !== false);
  const isMain = listed === undefined && shown.some(([, { group }]) => group !== 'options');
  return Object.entries(groups).flatMap(([group, title]) => {
    const found = shown.filter(([, each]) => each.group === group);
    if (found.length === 0) return [];
    const heading = isMain ? [`.SS ${plain(title.replace(/:$/, ''))}`] : [];
    return [...heading, ...found.flatMap(([, each]) => optionOf(each, options))];
  });
}

function optionOf(option: OptionEntry, options: CommandEntry['options']): string[] {
  const { short, flag, kind, value = '', doc, env, conflicts } = option;
  const fallback = defaultOf(option);
  const facts = [
    doc,
    fallback === null ? '' : `Default: ${fallback}.`,
    env === undefined ? '' : `Environment: \`${env}\`.`,
    conflicts === undefined
      ? ''
      : `Not together with ${conflicts.map((name) => `\`${options[name]?.flag}\``).join(', ')}.`,
  ];
  const names = short === undefined ? [flag] : [short, flag];
  return entry(names, kind === 'flag' ? null : value, facts.filter((fact) => fact !== '').join(' '));
}

function entry(names: readonly string[], value: string | null, text: string): string[] {
  const shown = names.map((name) => `\\fB${plain(name)}\\fR`).join(', ');
  return ['.TP', `${shown}${value === null ? '' : ` \\fI${plain(value)}\\fR`}`, prose(text)];
}

/** compute_ctl reads all of them; the others those of their options. */
function environmentOf({ name, main, commands }: ProgramEntry): string[] {
  const entries = [...(main === null ? [] : [main]), ...Object.values(commands)].flatMap(({ options }) =>
    Object.values(options),
  );
  const flags = new Map(
    entries.flatMap(({ env, flag }) => (env === undefined ? [] : [[env, flag] as const])),
  );
  const rest = name === 'compute_ctl' ? environmentEntries : [];
  return [
    ...[...flags].flatMap(([env, flag]) =>
      entry([env], null, `Default of \`${flag}\`; an empty value counts as set.`),
    ),
    ...rest.flatMap(([env, { doc }]) => entry([env], null, doc)),
  ];
}

function exitStatus(name: string): string[] {
  const own: readonly (readonly [string, string])[] = [
    ['0', 'It has done what was asked.'],
    ['1', 'A failure; the reason is on stderr.'],
    [String(errorCodes.usage.exit), 'A wrong command line.'],
    [String(errorCodes.defect.exit), `A defect of ${name} itself.`],
    ...(name === 'compute_ctl' ? [['other', "Postgres's own exit code."] as const] : []),
  ];
  return own.flatMap(([code, text]) => entry([code], null, text));
}

/** Letters that roff would take for its own. */
const plain = (text: string): string =>
  text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq');

/** A paragraph; what is in backticks is bold, and so are long options. */
function prose(text: string): string {
  const shown = text.split('`').map((part, at) => {
    if (at % 2 === 1) return `\\fB${plain(part)}\\fR`;
    return plain(part).replaceAll(/(?<!\S)\\-\\-[a-z\\-]+/g, '\\fB$&\\fR');
  });
  return wrapped(shown.join(''));
}

/** In lines of at most 80 letters, none of which roff takes for a command. */
const wrapped = (text: string): string =>
  (text.match(/\S.{0,77}(?!\S)|\S+/g) ?? [])
    .map((line) => line.trimEnd().replace(/^[.']/, '\\&$&'))
    .join('\n');
