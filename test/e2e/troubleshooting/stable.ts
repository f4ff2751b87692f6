import { defaultPostgres } from '../../support/postgres-versions.ts';

/** What a machine, a run or a moment chose, and what the page has in its place. */
export type Replacement = readonly [found: string | RegExp, shown: string];

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** A port, wherever it is a number by itself. */
export const port = (number: number, shown: number): Replacement => [
  new RegExp(`(?<![\\w.])${number}(?![\\w.]*\\w)`, 'g'),
  String(shown),
];

/** Of every run. */
const volatile: readonly Replacement[] = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, '2026-01-01T03:00:00.000Z'],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \w+/g, '2026-01-01 03:00:00.000 UTC'],
  [/(\bpid[ =:"]+)\d+/gi, '$14711'],
  [/(\(PID )\d+/g, '$14711'],
  [/\[\d+\](?= (?:LOG|FATAL|PANIC|ERROR|WARNING))/g, '[4711]'],
  [/\buid \d+/g, 'uid 101'],
  [new RegExp(escaped(defaultPostgres().bindir), 'g'), '/usr/lib/postgresql/15/bin'],
  [new RegExp(`\\b${defaultPostgres().major}\\.\\d+(?: \\(Debian [^)]*\\))?`, 'g'), '15.0'],
  [/postgresql:\/\/app:[\w-]+@/g, 'postgresql://app:…@'],
  [/(?<=\?token=)[\w-]{43}/g, '…'],
  [/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, 'TOKEN'],
  [/"request_id":"[^"]*"/g, '"request_id":"…"'],
  [/request_id=\S+/g, 'request_id=…'],
  [/(?<=[ \t(@])0\/[0-9A-F]{5,8}\b/g, '0/169B1D8'],
  [/\b\d+ MB (?=more|are free)/g, '… MB '],
  [/(tenant|timeline) [0-9a-f]{32}/g, '$1 …'],
  [/expired \d+ s ago/g, 'expired 3600 s ago'],
  [/after \d+ checks/g, 'after 4 checks'],
  [/\bline \d+(?= |:|$)/gm, 'line 20'],
];

/** The text without what differs from run to run; lines without blanks at their ends. */
export function stable(text: string, own: readonly Replacement[]): string {
  let shown = text;
  for (const [found, by] of [...own, ...volatile])
    shown = typeof found === 'string' ? shown.replaceAll(found, by) : shown.replace(found, by);
  return shown.replaceAll(/[ \t]+$/gm, '').trim();
}
