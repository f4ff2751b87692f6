import { shownBytes } from '../../core/shown.ts';
import type { ComputeReport, StatusReport, StorageReport } from '../status/schema.ts';
import type { Check, Details } from './model.ts';
import { ownValue } from './own-value.ts';

const ok = (text: string): Check => ({ state: 'ok', text, hint: null });
const wait = (text: string, hint: string | null = null): Check => ({ state: 'wait', text, hint });
const bad = (text: string, hint: string | null): Check => ({ state: 'bad', text, hint });

/** Whether all is well, what is not, and what to do: what `compute-local status` judges, and what the computes say of
 *  themselves. The worst first. Pure. */
export function checklist(report: StatusReport, details: Readonly<Record<string, Details>>): Check[] {
  const problems = report.problems.map(({ about, message, hint }) =>
    bad(message.includes(about) ? message : `${about}: ${message}`, hint),
  );
  const named = new Set(report.problems.map(({ about }) => about));
  const parts = [
    ...report.computes.filter(({ name }) => !named.has(name)).flatMap(computeCheck),
    ...(report.storage === null || named.has('storage')
      ? []
      : storageChecks(
          report.storage,
          report.computes.some(({ role, state }) => role === 'primary' && state === 'asleep'),
        )),
    ...report.computes.flatMap(({ name }) => ownValue(details, name)?.checks ?? []),
  ];
  const order = { bad: 0, wait: 1, ok: 2 } as const;
  return [...problems, ...parts].toSorted((a, b) => order[a.state] - order[b.state]);
}

function computeCheck({ name, role, state, detail, exits, lag }: ComputeReport): Check[] {
  const who = `${name} (${role})`;
  const why = detail === null ? '' : `: ${detail}`;
  if (state === 'starting' || state === 'stopping') return [wait(`${who} is ${state}${why}`)];
  // Nobody expects a node that was ended to run.
  if (state === 'stopped') return role === 'primary' ? [wait(`${who} does not run`)] : [];
  if (state === 'asleep') return [ok(`${who} sleeps: the next client wakes it`)];
  if (state !== 'running') return [];
  const behind = lag === null || lag.bytes === 0 ? '' : `; it is ${shownBytes(lag.bytes)} behind`;
  const runs = ok(`${who} answers${behind}`);
  if (exits === 0) return [runs];
  const times = exits === 1 ? 'once' : `${exits} times`;
  return [
    runs,
    wait(`${name} has ended ${times} and was started again`, 'the reasons are in its log, below'),
  ];
}

function storageChecks({ state, detail, attached, disk, troubles }: StorageReport, asleep: boolean): Check[] {
  if (state !== 'running') return [wait(`the storage: ${state}${detail === null ? '' : `, ${detail}`}`)];
  const receives =
    attached === false && !asleep
      ? wait('the storage receives no WAL: no primary is connected')
      : ok('the storage receives every commit');
  if (disk === null || disk === undefined || (troubles ?? []).length > 0) return [receives];
  return [
    receives,
    disk.level === 'ok'
      ? ok(`the disk has room: ${shownBytes(disk.free_bytes)} free`)
      : bad(`the disk is nearly full: ${shownBytes(disk.free_bytes)} free`, 'free space on it'),
  ];
}
