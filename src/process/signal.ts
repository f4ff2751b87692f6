// Apart from what starts processes: commands that start none do not load that.

/** Sends a signal to a pid, or to a group by its negative number. False when there is no such process.
 *  @throws the system's error when the signal is not allowed */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** `sendSignal` for our own child or its group. A child that became another user's (sudo) is left alone: false. */
export function signalChild(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return sendSignal(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') return false;
    throw error;
  }
}
