import { readSmall } from '../process/regular-file.ts';
import { writeDurable } from '../process/files.ts';
import { isAlive } from '../process/identity.ts';
import type { Report } from './report.ts';

/** What a running `up` is doing. It notes it in its pid file, so that `status` can tell a start from a restart and a stop. */
export type Phase = 'starting' | 'ready' | 'restarting' | 'stopping';

export interface Noted {
  readonly phase: Phase;
  /** What has ended by itself since `up` was started, and how often. */
  readonly exits: { readonly compute: number; readonly storage: number };
}

const phaseAfter: Readonly<Record<string, Phase>> = {
  ready: 'ready',
  stopping: 'stopping',
  'compute-exited': 'restarting',
  'storage-exited': 'restarting',
  'compute-restarted': 'ready',
  'storage-restarted': 'ready',
};

/** Passes everything on, and notes what it means in the pid file of this process. */
export function notingPhase(report: Report, pidFile: string): Report {
  let noted: Noted = { phase: 'starting', exits: { compute: 0, storage: 0 } };
  return {
    progress: (what, done) => report.progress(what, done),
    event(event, fields, text) {
      const phase = noted.phase === 'stopping' ? 'stopping' : (phaseAfter[event] ?? noted.phase);
      const { compute, storage } = noted.exits;
      const exits = {
        compute: compute + (event === 'compute-exited' ? 1 : 0),
        storage: storage + (event === 'storage-exited' ? 1 : 0),
      };
      const isNews = phase !== noted.phase || exits.compute + exits.storage > compute + storage;
      noted = { phase, exits };
      if (isNews) note(pidFile, noted);
      report.event(event, fields, text);
    },
  };
}

/** Does nothing before the pid file is there, and on a full disk: this is for people only. */
function note(pidFile: string, noted: Noted): void {
  try {
    const known = JSON.parse(readSmall(pidFile)) as { pid?: unknown; started?: unknown };
    if (known.pid !== process.pid) return;
    const { pid, started } = known;
    writeDurable(pidFile, `${JSON.stringify({ pid, started, ...noted })}\n`, { mode: 0o644 });
  } catch {
    // As said above.
  }
}

/** What the process of a pid file has noted; `starting` when it has noted nothing yet; null when it does not run. */
export function readPhase(pidFile: string): Noted | null {
  try {
    const found = JSON.parse(readSmall(pidFile)) as Partial<Noted> & { pid?: unknown; started?: unknown };
    const { pid, started, phase, exits } = found;
    if (typeof pid !== 'number' || typeof started !== 'string' || !isAlive({ pid, started })) return null;
    const known = phase !== undefined && ['starting', 'ready', 'restarting', 'stopping'].includes(phase);
    return {
      phase: known ? phase : 'starting',
      exits: { compute: Number(exits?.compute ?? 0), storage: Number(exits?.storage ?? 0) },
    };
  } catch {
    return null;
  }
}
