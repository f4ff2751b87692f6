import { type Call, type CallOption, type Values, calls } from './calls.ts';
import { programNames } from '../config/options/manual.ts';

/** The completion for bash, which needs nothing of the package bash-completion. */
export const bash = (): string => `# Completion of ${programNames.join(', ')} for bash.
# Printed by \`compute_ctl completion bash\`.

# Sets what can follow a call: words of the first place, options, values of options, options that exclude others, arguments.
_compute_ctl_of() {
  commands='' options='' files='' dirs='' users='' texts='' words='' excludes='' argument=nothing
  case $1 in
${calls.map(caseOf).join('\n')}
    *) return 1 ;;
  esac
}

_compute_ctl_offer() {
  case $1 in
    # The shell's own way, which knows quotes and ~; not for what is joined to an option.
    files) [[ -z $prefix ]] && compopt -o default || mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    dirs) [[ -z $prefix ]] && compopt -o dirnames || mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    users) mapfile -t COMPREPLY < <(compgen -u -- "$cur") ;;
    nothing) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "\${1//,/ }" -- "$cur") ;;
  esac
}

_compute_ctl() {
  local commands options files dirs users texts words excludes argument
  local program=\${COMP_WORDS[0]##*/} cur=\${COMP_WORDS[COMP_CWORD]} option='' prefix='' first=1 at pair word given=' ' kind=none
  COMPREPLY=()
  _compute_ctl_of "$program" || return
  if ((COMP_CWORD > 1)) && _compute_ctl_of "$program \${COMP_WORDS[1]}"; then first=2; else _compute_ctl_of "$program"; fi
  # An option and its value, also with = between them, which may be a word of its own.
  if [[ $cur == = ]]; then cur='' option=\${COMP_WORDS[COMP_CWORD - 1]}
  elif ((COMP_CWORD > 1)) && [[ \${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then option=\${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ $cur == -*=* ]]; then option=\${cur%%=*} prefix="$option=" cur=\${cur#*=}
  elif ((COMP_CWORD > first)); then option=\${COMP_WORDS[COMP_CWORD - 1]}
  fi
  for ((at = first; at < COMP_CWORD; at++)); do
    # What follows -- is never an option.
    if [[ \${COMP_WORDS[at]} == -- ]]; then _compute_ctl_offer "$argument"; return; fi
    given+="\${COMP_WORDS[at]%%=*} "
  done
  [[ -n $option && " $files " == *" $option "* ]] && kind=files
  [[ -n $option && " $dirs " == *" $option "* ]] && kind=dirs
  [[ -n $option && " $users " == *" $option "* ]] && kind=users
  [[ -n $option && " $texts " == *" $option "* ]] && kind=nothing
  for pair in $words; do [[ \${pair%%=*} == "$option" ]] && kind=\${pair#*=}; done
  if [[ $kind != none ]]; then
    _compute_ctl_offer "$kind"
    [[ -z $prefix ]] || COMPREPLY=("\${COMPREPLY[@]/#/$prefix}")
    return
  fi
  if [[ $cur != -* && -n $commands && $COMP_CWORD == 1 ]]; then _compute_ctl_offer "\${commands// /,}"; return; fi
  if [[ $cur != -* && $argument != nothing ]]; then _compute_ctl_offer "$argument"; return; fi
  # Those that were given, and what does not go with them, are not offered again.
  options=" $options "
  for pair in $excludes; do
    [[ $given == *" \${pair%%=*} "* ]] || continue
    pair=\${pair#*=}
    for word in \${pair//,/ }; do options=\${options// $word / }; done
  done
  _compute_ctl_offer "$options"
}

complete -F _compute_ctl ${programNames.join(' ')}
`;

function caseOf({ program, command, options, commands, argument }: Call): string {
  const withValues = options.filter(({ value }) => value !== null);
  const of = (kind: Values['of']): string =>
    withValues
      .filter(({ values }) => values.of === kind)
      .flatMap(({ names }) => names)
      .join(' ');
  const words = withValues.flatMap(({ names, values }) =>
    values.of === 'words' ? names.map((name) => `${name}=${values.words.join(',')}`) : [],
  );
  const set = {
    commands: commands.map(({ name }) => name).join(' '),
    options: options
      .filter(({ isListed }) => isListed)
      .flatMap(({ names }) => names)
      .join(' '),
    files: of('files'),
    dirs: of('dirs'),
    users: of('users'),
    texts: of('nothing'),
    words: words.join(' '),
    excludes: options.flatMap(excludesOf).join(' '),
    argument: argument.of === 'words' ? argument.words.join(',') : argument.of,
  };
  const lines = Object.entries(set)
    .filter(([name, text]) => text !== '' && !(name === 'argument' && text === 'nothing'))
    .map(([name, text]) => `      ${name}='${text}'`);
  return `    '${command === null ? program : `${program} ${command}`}')\n${lines.join('\n')}\n      ;;`;
}

const excludesOf = ({ names, excludes }: CallOption): string[] =>
  names.map((name) => `${name}=${excludes.join(',')}`);
