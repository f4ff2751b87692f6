import { type Call, type CallOption, type Values, calls } from './calls.ts';
import { programNames } from '../config/options/manual.ts';

/** The completion for zsh: a file for `fpath` that can be sourced, too. */
export const zsh = (): string => `#compdef ${programNames.join(' ')}
# Completion of ${programNames.join(', ')} for zsh.
# Printed by \`compute_ctl completion zsh\`.

_compute_ctl() {
  local program=\${words[1]:t} context=$curcontext state line
  local -a commands
  typeset -A opt_args
  case $program in
${calls
  .filter(({ commands }) => commands.length > 0)
  .map(commandsOf)
  .join('\n')}
  esac
  if (( CURRENT == 2 && $#commands )) && [[ $words[2] != -* ]]; then
    _describe -t commands command commands
    return
  fi
  local call=$program
  if (( CURRENT > 2 )); then
    case "$program $words[2]" in
      ${calls.flatMap(({ program, command }) => (command === null ? [] : [quoted(`${program} ${command}`)])).join('|')})
        call="$program $words[2]"
        shift words
        (( CURRENT-- ))
        ;;
    esac
  fi
  case $call in
${calls.map(caseOf).join('\n')}
  esac
}

if [[ $funcstack[1] == _compute_ctl ]]; then
  _compute_ctl "$@"
else
  compdef _compute_ctl ${programNames.join(' ')}
fi
`;

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

const commandsOf = ({ program, commands }: Call): string =>
  `    ${program}) commands=(\n${commands
    .map(({ name, doc }) => `      ${quoted(`${name}:${doc.replaceAll('`', '')}`)}`)
    .join('\n')}\n    ) ;;`;

function caseOf({ program, command, options, argument }: Call): string {
  const specs = options.flatMap(specsOf);
  const rest = argument.of === 'nothing' ? [] : [quoted(`*:argument:${action(argument)}`)];
  const call = command === null ? program : `${program} ${command}`;
  return `    ${quoted(call)})\n      _arguments -S : \\\n        ${[...specs, ...rest].join(' \\\n        ')}\n      ;;`;
}

/** One for each name. Those that the help leaves out are known, but not offered. */
function specsOf({ names, doc, value, values, isListed, excludes }: CallOption): string[] {
  const explained = doc.replaceAll(/[\\:[\]]/g, (found) => `\\${found}`);
  const taken = value === null ? '' : `:${value.replaceAll(':', '\\:')}:${action(values)}`;
  return names.map((name) => {
    const joined = value === null ? '' : name.startsWith('--') ? '=' : '+';
    return quoted(`${isListed ? '' : '!'}(${excludes.join(' ')})${name}${joined}[${explained}]${taken}`);
  });
}

function action(values: Values): string {
  if (values.of === 'words') return `(${values.words.join(' ')})`;
  return { files: '_files', dirs: '_files -/', users: '_users', nothing: ' ' }[values.of];
}
