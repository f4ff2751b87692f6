import { readlinkSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { type ProcessIdentity, identify, signalProcess } from '../../process/identity.ts';
import { commandLine } from '../../process/proc.ts';
import { readSmall } from '../../process/regular-file.ts';
import type { RsyslogSettings } from './settings.ts';

/** The rsyslogd that the pid file names; null when it names none that runs. A number alone proves nothing: a supervisor may
 *  have left it behind, and the system gives it to another program. */
export function findDaemon({ pidFile, program }: RsyslogSettings): ProcessIdentity | null {
  const pid = pidIn(pidFile);
  if (pid === null) return null;
  const found = identify(pid);
  // In this order: the program is that of the process that was identified.
  return found !== null && isProgram(pid, program) ? found : null;
}

/** The same, or an error that says what to do.
 *  @throws ComputeError `internal` */
export function requireDaemon(settings: RsyslogSettings): ProcessIdentity {
  const found = findDaemon(settings);
  if (found !== null) return found;
  throw new ComputeError('internal', `rsyslogd does not run: ${settings.pidFile} names no process of it`, {
    hint: 'have it run under a supervisor that always starts it again, and give its pid file with --rsyslog-pid-file',
  });
}

/** Ends rsyslogd, so that its supervisor starts it with the new configuration: SIGHUP would not read that again.
 *  @throws ComputeError `internal` when it belongs to another user */
export function endDaemon(daemon: ProcessIdentity): void {
  try {
    signalProcess(daemon, 'SIGTERM');
  } catch (cause) {
    throw new ComputeError('internal', `rsyslogd (pid ${daemon.pid}) cannot be restarted`, {
      cause,
      hint: 'run it as the same user as compute_ctl',
    });
  }
}

function pidIn(path: string): number | null {
  try {
    const digits = /^\s*([1-9]\d{0,9})\s*$/.exec(readSmall(path))?.[1];
    return digits === undefined ? null : Number(digits);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** An update may have replaced the file of a program that still runs. The program may be a script that starts rsyslogd. */
function isProgram(pid: number, program: string): boolean {
  try {
    const running = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
    return basename(running) === 'rsyslogd' || running === realpathSync(program);
  } catch {
    // Another user's process: its program is not shown, its command line is.
    return basename(commandLine(pid).split(' ')[0] ?? '') === 'rsyslogd';
  }
}
