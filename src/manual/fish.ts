import { type Call, type CallOption, type Values, calls } from './calls.ts';
import { programNames } from '../config/options/manual.ts';

/** The completion for fish. */
export const fish = (): string => `# Completion of ${programNames.join(', ')} for fish.
# Printed by \`compute_ctl completion fish\`.

# True when the command is one of those; with '' when there is none.
function __compute_ctl_in
    set -l typed (commandline -opc)
    test (count $typed) -gt 1; and contains -- $typed[2] ${[...new Set(calls.flatMap(({ command }) => command ?? []))].join(' ')}
    and contains -- $typed[2] $argv
    or begin
        contains -- '' $argv
        and not contains -- "$typed[2]" ${[...new Set(calls.flatMap(({ command }) => command ?? []))].join(' ')}
    end
end

# True when none of those was given. The last word may be the option whose value is completed.
function __compute_ctl_free
    set -l typed (commandline -opc)
    for word in $typed[2..-2]
        contains -- (string replace -r '=.*' '' -- $word) $argv; and return 1
    end
    return 0
end

# The same for those without a value, which the last word may be, too.
function __compute_ctl_free_flag
    set -l typed (commandline -opc)
    for word in $typed[2..-1]
        contains -- $word $argv; and return 1
    end
    return 0
end

# True when the value of one of those is completed.
function __compute_ctl_value_of
    contains -- (string replace -r '=.*' '' -- (commandline -opc)[-1] (commandline -ct)) $argv
end

# True in the first place after the program.
function __compute_ctl_first
    test (count (commandline -opc)) -eq 1
end

${programNames.map((program) => `complete -c ${program} -f`).join('\n')}
${calls.map(linesOf).join('\n')}
`;

const quoted = (text: string): string => `'${text.replaceAll(/[\\']/g, (found) => `\\${found}`)}'`;

function linesOf(call: Call): string {
  const { program, command, options, commands, argument } = call;
  const inside = `__compute_ctl_in ${command ?? "''"}`;
  return [
    `# ${command === null ? program : `${program} ${command}`}`,
    ...commands.map(
      ({ name, doc }) =>
        `complete -c ${program} -n __compute_ctl_first -a ${name} -d ${quoted(doc.replaceAll('`', ''))}`,
    ),
    ...(argument.of === 'nothing' ? [] : [`complete -c ${program} -n ${quoted(inside)} ${offer(argument)}`]),
    ...options.map((option) => optionOf(program, inside, option)),
  ].join('\n');
}

function optionOf(program: string, inside: string, option: CallOption): string {
  const { names, doc, value, values, isListed, excludes } = option;
  const free = `__compute_ctl_free${value === null ? '_flag' : ''} ${excludes.join(' ')}`;
  const condition = isListed ? free : `__compute_ctl_value_of ${names.join(' ')}`;
  const [long = '', short] = names;
  return [
    `complete -c ${program} -n ${quoted(`${inside}; and ${condition}`)}`,
    ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
    `-l ${long.slice(2)}`,
    ...(value === null ? [] : ['-r', offer(values)]),
    `-d ${quoted(doc)}`,
  ].join(' ');
}

function offer(values: Values): string {
  if (values.of === 'words') return `-f -a ${quoted(values.words.join(' '))}`;
  const lists = { dirs: '__fish_complete_directories', users: '__fish_complete_users' };
  if (values.of === 'files') return '-F';
  return values.of === 'nothing' ? '-f' : `-f -a ${quoted(`(${lists[values.of]})`)}`;
}
