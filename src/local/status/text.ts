import { shownBytes, shownMs } from '../../core/shown.ts';
import { fillText } from '../show-troubles.ts';
import { commandFor, placesIn } from '../state.ts';
import type { DiskStatus } from '../storage/watch.ts';
import {
  type ComputeReport,
  type DiskReport,
  type StatusReport,
  type StorageReport,
  statusSchema,
} from './schema.ts';
import { stoppedByWake } from '../next/events.ts';

type Style = 'bold' | 'green' | 'yellow' | 'red' | 'dim';
/** Colours a text, where there is a terminal. */
export type Paint = (style: Style, text: string) => string;

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

export const plain: Paint = (_, text) => text;
const coloured: Paint = (style, text) => `\u001B[${codes[style]}m${text}\u001B[0m`;

/** @see https://no-color.org */
export function paintFor(out: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): Paint {
  const wanted = out.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  return wanted ? coloured : plain;
}

const styleOf = (state: string): Style =>
  state === 'running' || state === 'asleep'
    ? 'green'
    : ['failed', 'no_answer', 'trouble'].includes(state)
      ? 'red'
      : ['starting', 'stopping'].includes(state)
        ? 'yellow'
        : 'dim';

const words = (state: string): string => state.replaceAll('_', ' ');

/** As the reference lists them. */
const inOrder = Object.keys(statusSchema.entries) as (keyof StatusReport)[];

/** The report for programs: a line of JSON. */
export const statusJson = (report: StatusReport): string =>
  `${JSON.stringify(Object.fromEntries(inOrder.map((name) => [name, report[name]])))}\n`;

/** The report for people.
 *  @param nowMs milliseconds since 1970
 *  @param start what starts it */
export function statusText(
  report: StatusReport,
  paint: Paint,
  nowMs: number,
  start = commandFor(placesIn(report.dir), 'up'),
): string {
  const { computes, storage, disk, problems } = report;
  const parts = [
    heading(report, paint, { nowMs, start }),
    ...(computes.length === 0 ? [] : [computeTable(computes, paint, nowMs)]),
    ...(storage === null ? [] : [storageText(storage, paint, nowMs)]),
    ...(disk === null ? [] : [diskText(disk, storage?.disk ?? null, paint)]),
    ...(problems.length === 0 ? [] : [problemsText(report, paint)]),
  ];
  return `${parts.join('\n\n')}\n`;
}

function heading(
  { state, dir, pid, since }: StatusReport,
  paint: Paint,
  { nowMs, start }: { readonly nowMs: number; readonly start: string },
): string {
  const running = pid === null ? '' : ` as pid ${pid}${since === null ? '' : ` for ${ago(since, nowMs)}`}`;
  const said: Readonly<Record<StatusReport['state'], string>> = {
    running: `running${running}`,
    asleep: `asleep${running}; the next connection wakes it`,
    starting: `starting${running}`,
    stopping: `stopping${running}`,
    stopped: `not running. Start it with: ${start}`,
    absent: `there is no database yet. Create one with: ${start}`,
    trouble: pid === null ? 'trouble, and no compute-local up runs' : `trouble; it runs${running}`,
  };
  return `compute-local in ${dir}: ${paint(styleOf(state), said[state])}`;
}

const head = ['NAME', 'ROLE', 'STATE', 'PORT', 'HTTP', 'INTERNAL', 'PID', 'LSN', 'LAG', 'SESSIONS', 'DISK'];

function computeTable(computes: readonly ComputeReport[], paint: Paint, nowMs: number): string {
  const rows = computes.map((one) => [
    one.name,
    one.role,
    words(one.state),
    `${one.ports.postgres}`,
    `${one.ports.http}`,
    `${one.ports.internal_http}`,
    `${one.postgres_pid ?? '-'}`,
    one.lsn ?? one.at_lsn ?? '-',
    lagText(one),
    `${one.connections ?? '-'}`,
    shownBytes(one.disk_bytes),
  ]);
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string[] => cells.map((cell, at) => cell.padEnd(widths[at] ?? 0));
  const shown = rows.map((row, at) => {
    const [name = '', role = '', state = '', ...rest] = line(row);
    const one = computes[at] as ComputeReport;
    const named = one.role === 'primary' ? paint('bold', role) : role;
    return [name, named, paint(styleOf(one.state), state), ...rest].join('  ').trimEnd();
  });
  const details = computes.flatMap(({ name, state, detail, exits, sleep }) => [
    ...(detail === null || state === 'failed' || state === 'no_answer' ? [] : [`  ${name}: ${detail}`]),
    ...(exits === 0 ? [] : [`  ${name}: ${restarts(exits)}`]),
    ...sleepLines(name, sleep, nowMs),
  ]);
  return [paint('bold', line(head).join('  ').trimEnd()), ...shown, ...details].join('\n');
}

const mostHolders = 3;

/** Who keeps it awake, and how often it has slept. */
function sleepLines(name: string, sleep: ComputeReport['sleep'], nowMs: number): string[] {
  if (sleep === null) return [];
  const { kept_awake_by: holders, suspends, ended_sessions: ended, woken_by: by, last_wake_ms: ms } = sleep;
  const reason = sleep.next?.reason ?? stoppedByWake;
  const more = holders.length > mostHolders ? [`  ${name}: and by ${holders.length - mostHolders} more`] : [];
  const cut = ended === 0 ? '' : `, with ${ended} idle ${ended === 1 ? 'session' : 'sessions'} ended`;
  const last = by === null || ms === null ? '' : `; last woken by ${by}, in ${ms} ms`;
  return [
    ...holders
      .slice(0, mostHolders)
      .map(({ kind, who, since }) => `  ${name}: kept awake (${kind}) for ${ago(since, nowMs)} by ${who}`),
    ...more,
    ...(suspends === 0
      ? []
      : [`  ${name}: has slept ${suspends === 1 ? 'once' : `${suspends} times`}${cut}${last}`]),
    ...(reason === stoppedByWake
      ? []
      : [`  ${name}: the next start was not prepared, and a wake copies everything: ${reason}`]),
  ];
}

/** Also after a promotion, which ends the former primary. */
const restarts = (exits: number): string =>
  `has ended and was started again ${exits === 1 ? 'once' : `${exits} times`} since its up began`;

function lagText({ lag }: ComputeReport): string {
  if (lag === null) return '-';
  if (lag.bytes === 0) return 'none';
  return lag.seconds === null
    ? shownBytes(lag.bytes)
    : `${shownBytes(lag.bytes)}, ${shownMs(lag.seconds * 1000)}`;
}

function storageText(storage: StorageReport, paint: Paint, nowMs: number): string {
  const { state, pid, exits, ports, base, wal_bytes, compaction_at_bytes, attached, history } = storage;
  const row = (name: string, text: string): string => `  ${name.padEnd(13)}${text}`;
  const running = pid === null ? '' : `, pid ${pid}`;
  const receives = attached === undefined ? '' : attached ? ', receives WAL' : ', receives no WAL';
  const next =
    compaction_at_bytes === undefined ? '' : `; the next one is taken at ${shownBytes(compaction_at_bytes)}`;
  return [
    `${paint('bold', 'Storage')}  ${paint(styleOf(state), words(state))}${running}${receives}`,
    ...(exits === 0 ? [] : [`  ${restarts(exits)}`]),
    ...restorableRows(storage).map((text, at) => row(at === 0 ? 'Restorable' : '', text)),
    ...(history === undefined || history === null ? [] : [row('History', historyText(history))]),
    row('Base backup', base === undefined ? '-' : baseText(base, nowMs)),
    row('WAL since', wal_bytes === undefined ? '-' : `${shownBytes(wal_bytes)}${next}`),
    row(
      'Ports',
      `pageserver ${ports.pageserver}, safekeeper ${ports.safekeeper}, control plane ${ports.control_plane}`,
    ),
  ].join('\n');
}

/** A line for each range, the oldest first. */
function restorableRows({ restorable, restorable_ranges: ranges = [] }: StorageReport): string[] {
  if (restorable === undefined) return ['-'];
  const all = ranges.length > 1 ? ranges : [restorable];
  return all.map(
    ({ from_lsn, from_time, to_lsn }, at) =>
      `${at === 0 ? '' : 'and '}${from_lsn}${since(from_time)} to ${to_lsn}${at < all.length - 1 ? '' : ' (compute-local up --at-lsn)'}`,
  );
}

const since = (time: string | null | undefined): string =>
  time === null || time === undefined ? '' : ` (${utc(time)})`;

const historyText = ({
  keep_seconds,
  max_bytes,
  stored_bytes,
}: NonNullable<StorageReport['history']>): string =>
  `kept for ${shownMs(keep_seconds * 1000)}${max_bytes === null ? '' : `, at most ${shownBytes(max_bytes)}`}: ${shownBytes(stored_bytes)} before the base backup`;

function baseText(
  { number, postgres_major, taken_at }: NonNullable<StorageReport['base']>,
  nowMs: number,
): string {
  const taken = taken_at === null ? '' : `, ${ago(taken_at, nowMs)} ago (${utc(taken_at)})`;
  return `number ${number} of PostgreSQL ${postgres_major}${taken}`;
}

function diskText(disk: DiskReport, watched: DiskStatus | null, paint: Paint): string {
  const more = disk.complete ? '' : 'at least ';
  const free = disk.free_bytes === null || watched !== null ? '' : `; free: ${shownBytes(disk.free_bytes)}`;
  const { base_bytes, wal_bytes, data_bytes, prepared_bytes, log_bytes } = disk;
  const ahead = prepared_bytes === 0 ? '' : `, made ahead ${shownBytes(prepared_bytes)}`;
  const used = `base backups ${shownBytes(base_bytes)}, WAL ${shownBytes(wal_bytes)}, data directories ${shownBytes(data_bytes)}${ahead}, logs ${shownBytes(log_bytes)}`;
  const first = `${paint('bold', 'Disk')}     ${more}${shownBytes(disk.total_bytes)}: ${used}${free}`;
  return watched === null ? first : `${first}\n  ${fillText(watched)}`;
}

function problemsText({ problems }: StatusReport, paint: Paint): string {
  const lines = problems.flatMap(({ about, message, hint }) => {
    const named = message.includes(about) ? message : `${about}: ${message}`;
    return [`  ${paint('red', named)}`, `    What to do: ${hint}`];
  });
  return [paint('bold', 'Problems'), ...lines].join('\n');
}

const utc = (iso: string): string => `${iso.slice(0, 19).replace('T', ' ')} UTC`;

const ago = (iso: string, nowMs: number): string => shownMs(nowMs - Date.parse(iso));
