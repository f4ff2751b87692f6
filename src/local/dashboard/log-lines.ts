import type { Applied, History, LogLine, Start, StatusChange } from './model.ts';

/** The storage's log, beside those of the computes: no compute can have this name. */
export const storageLog = '';

const mostStarts = 12;
const mostChanges = 24;

const time = '(\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z)';
const finished = new RegExp(`^${time} +INFO compute start finished total_ms=(\\d+) steps=(\\{.*\\})$`);
const changed = new RegExp(`^${time} +INFO Changing compute status from ([\\w-]+) to ([\\w-]+)$`);
const applied = new RegExp(
  `^${time} +INFO (?:applied the spec to the catalog|the catalog is as the spec asks) statements=(\\d+) duration_ms=(\\d+)$`,
);
const answered = / (?:INFO|DEBUG) (?:GET|HEAD|POST) \/\S* answered /;

export const logLine = (text: string): LogLine => ({ text, isRequest: answered.test(text) });

export const noHistory: History = { starts: [], changes: [], applied: null };

/** What new lines of compute_ctl's log add. Pure. */
export function withLines(history: History, lines: readonly string[]): History {
  const starts: Start[] = [];
  const changes: StatusChange[] = [];
  let latest: Applied | null = history.applied;
  for (const line of lines) {
    const start = startIn(line);
    if (start !== null) starts.unshift(start);
    const [, at, from, to] = changed.exec(line) ?? [];
    if (at !== undefined && from !== undefined && to !== undefined)
      changes.unshift({ at, from: from.replaceAll('-', '_'), to: to.replaceAll('-', '_') });
    const [, when, statements, ms] = applied.exec(line) ?? [];
    if (when !== undefined) latest = { at: when, statements: Number(statements), ms: Number(ms) };
  }
  return {
    starts: [...starts, ...history.starts].slice(0, mostStarts),
    changes: [...changes, ...history.changes].slice(0, mostChanges),
    applied: latest,
  };
}

function startIn(line: string): Start | null {
  const [, at, total, steps] = finished.exec(line) ?? [];
  if (at === undefined || steps === undefined) return null;
  try {
    const found = Object.entries(JSON.parse(steps) as Record<string, unknown>);
    return { at, totalMs: Number(total), steps: found.map(([name, ms]) => ({ name, ms: Number(ms) })) };
  } catch {
    return null;
  }
}
