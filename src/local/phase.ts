import { isAlive } from '../process/identity.ts';
import { readSmall } from '../process/regular-file.ts';
import { writeDurable } from '../process/files.ts';
import type { Report } from './report.ts';

/** What a running `up` is doing. */
export type Phase = 'starting' | 'ready' | 'restarting' | 'asleep' | 'waking' | 'stopping';

/** Whether a client is served: at once, or after the wake that it causes. */
export const serves = (phase: Phase): boolean => ['ready', 'asleep', 'waking'].includes(phase);

/** What `up` notes in its pid file, so that `status` can tell a start from a restart and from a stop. */
export interface Noted {
  readonly phase: Phase;
  /** When the phase began; ISO 8601 in UTC. */
  readonly since: string;
  /** What has ended by itself since `up` was started, and how often. */
  readonly exits: { readonly compute: number; readonly storage: number };
  /** The same since everything worked, for both. */
  readonly inARow: number;
}

const manyExits = 3;
/** A start that fails again and again is reported, and so counted, once a minute at most. */
const longMs = 60_000;

/** Whether what does not work yet may still be on its way. */
export const mayStart = ({ phase, since, inARow }: Noted, nowMs: number): boolean =>
  phase === 'starting' ||
  ((phase === 'restarting' || phase === 'waking') &&
    inARow < manyExits &&
    nowMs - Date.parse(since) < longMs);

const atStart = (): Noted => ({
  phase: 'starting',
  since: new Date().toISOString(),
  exits: { compute: 0, storage: 0 },
  inARow: 0,
});
const restarted = new Set(['compute-restarted', 'storage-restarted']);

function after(noted: Noted, event: string): Noted {
  const { phase, exits, inARow } = noted;
  const to = (next: Phase, changes: Partial<Noted> = {}): Noted => ({
    ...noted,
    phase: next,
    since: next === phase ? noted.since : new Date().toISOString(),
    ...changes,
  });
  if (event === 'stopping' || phase === 'stopping') return to('stopping');
  // Before everything was ready once, another attempt belongs to the start.
  const again = phase === 'starting' ? 'starting' : 'restarting';
  const { compute, storage } = exits;
  if (event === 'compute-exited')
    return to(again, { exits: { compute: compute + 1, storage }, inARow: inARow + 1 });
  if (event === 'storage-exited')
    // It is started again without the compute, which goes on sleeping.
    return to(phase === 'asleep' ? 'asleep' : again, {
      exits: { compute, storage: storage + 1 },
      inARow: inARow + 1,
    });
  if (event === 'suspending' || event === 'asleep') return to('asleep');
  if (event === 'waking') return to('waking');
  const works = event === 'ready' || event === 'woken' || (restarted.has(event) && phase === 'restarting');
  return works ? to('ready', { inARow: 0 }) : noted;
}

/** Passes everything on, and notes what it means in the pid file of this process. */
export function notingPhase(report: Report, pidFile: string): Report {
  let noted = atStart();
  return {
    progress: (what, done, part) => report.progress(what, done, part),
    event(event, fields, text) {
      const before = JSON.stringify(noted);
      noted = after(noted, event);
      if (JSON.stringify(noted) !== before) note(pidFile, noted);
      report.event(event, fields, text);
    },
  };
}

/** Does nothing before the pid file is there, and on a full disk: `up` does not depend on it. */
function note(pidFile: string, noted: Noted): void {
  try {
    const { pid, started } = JSON.parse(readSmall(pidFile)) as { pid?: unknown; started?: unknown };
    if (pid !== process.pid) return;
    writeDurable(pidFile, `${JSON.stringify({ pid, started, ...noted })}\n`, { mode: 0o644 });
  } catch {
    // As said above.
  }
}

const phases: readonly unknown[] = [
  'starting',
  'ready',
  'restarting',
  'asleep',
  'waking',
  'stopping',
] satisfies Phase[];

/** What the process of a pid file has noted; null when it does not run. */
export function readPhase(pidFile: string): Noted | null {
  try {
    const found = JSON.parse(readSmall(pidFile)) as Partial<Noted> & { pid?: unknown; started?: unknown };
    const { pid, started, phase, since, exits, inARow } = found;
    if (typeof pid !== 'number' || typeof started !== 'string' || !isAlive({ pid, started })) return null;
    if (phase === undefined || !phases.includes(phase)) return atStart();
    const count = (value: unknown): number => (typeof value === 'number' ? value : 0);
    return {
      phase,
      since: String(since),
      exits: { compute: count(exits?.compute), storage: count(exits?.storage) },
      inARow: count(inARow),
    };
  } catch {
    return null;
  }
}
