const pattern =
  /(?<comment>(?:^|(?<=\s))#.*$)|(?<redirect>\d?(?:[<>]{1,2}&?)\s*[^\s|&;()]*)|(?<cut>[|&;()]+)|(?<word>(?:'[^']*'|"(?:\\.|[^"\\])*"|\$\((?:[^()]|\([^()]*\))*\)|\\.|[^\s'"|&;()<>\\])+)/g;

/** The commands of a line of shell, each as its words: without comments, quotes and redirections. A command in `$(…)` is one
 *  of its own, and so is an assignment. */
export function commandsOf(line: string): string[][] {
  const commands: string[][] = [];
  let words: string[] = [];
  const end = (): void => {
    if (words.length > 0) commands.push(words);
    words = [];
  };
  for (const { groups = {} } of line.matchAll(pattern)) {
    if (groups['cut'] !== undefined) end();
    const word = groups['word'];
    if (word === undefined) continue;
    for (const [, inner = ''] of word.matchAll(/\$\(((?:[^()]|\([^()]*\))*)\)/g))
      commands.push(...commandsOf(inner));
    const bare = word.replaceAll(/\$\((?:[^()]|\([^()]*\))*\)/g, '').replaceAll(/^['"]|['"]$/g, '');
    if (words.length === 0 && /^[A-Za-z_]\w*=/.test(bare)) commands.push([bare]);
    else if (bare !== '') words.push(bare);
  }
  end();
  return commands;
}

/** The comment of a line of shell. */
export const commentOf = (line: string): string => /(?:^|\s)#\s?(.*)$/.exec(line)?.[1] ?? '';
