// Each line that is changed has a comment above it, so that the old line can come back, also after a restart of compute_ctl.

const replaced = '; compute_ctl replaced: ';
const added = '; compute_ctl added: ';

const keyOf = (line: string): string | null => /^\s*([\w.*-]+)\s*=/.exec(line)?.[1] ?? null;
const sectionOf = (line: string): string | null => /^\s*\[([^\]]*)\]/.exec(line)?.[1]?.trim() ?? null;

/** Why pgbouncer's ini file cannot hold a setting; null when it can. The text does not show the value. */
export function unfitFor(key: string, value: string): string | null {
  if (!/^[a-z][a-z0-9_]*$/i.test(key)) return 'it is not the name of a setting';
  // The rest of the line would be a setting, or a section, of its own.
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f\u0085\u2028\u2029]/.test(value)) return 'its value has control characters';
  return value.length > maxLength ? `its value has more than ${maxLength} characters` : null;
}

const maxLength = 8192;

/** The file with the settings in its section `[pgbouncer]`: a line that sets the same is replaced, the others are added at
 *  the section's end. What earlier settings have changed comes back first. All other lines stay as they are.
 *  @throws Error when there is no such section */
export function withSettings(text: string, settings: ReadonlyMap<string, string>): string {
  const eol = text.includes('\r\n') ? '\r' : '';
  const lines = withoutSettings(text).split('\n');
  const own = new Set<number>();
  let section: string | null = null;
  lines.forEach((line, at) => {
    section = sectionOf(line) ?? section;
    if (section === 'pgbouncer') own.add(at);
  });
  if (own.size === 0) throw new Error('it does not have a section [pgbouncer]: add that line to it');
  const missing: string[] = [];
  for (const [key, value] of settings) {
    const line = `${key} = ${value}${eol}`;
    // The last one counts.
    const at = lines.findLastIndex((old, index) => own.has(index) && keyOf(old) === key);
    if (at === -1) missing.push(`${added}${key}${eol}`, line);
    else lines[at] = `${replaced}${lines[at]!}\n${line}`;
  }
  const last = lines.findLastIndex((line, at) => own.has(at) && line.trim() !== '');
  lines.splice(last + 1, 0, ...missing);
  // A last line without its end.
  const ended = missing.length > 0 && last + 1 + missing.length === lines.length;
  return lines.join('\n') + (ended ? '\n' : '');
}

/** The file as it was before `withSettings`. A line that somebody has changed or removed since then does not come back. */
export function withoutSettings(text: string): string {
  const lines = text.split('\n');
  const kept: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const next = keyOf(lines[at + 1] ?? '');
    if (line.startsWith(replaced)) {
      const old = line.slice(replaced.length);
      if (next !== null && next === keyOf(old)) {
        kept.push(old);
        at++;
      }
    } else if (line.startsWith(added)) {
      if (next === line.slice(added.length).trim()) at++;
    } else kept.push(line);
  }
  return kept.join('\n');
}
