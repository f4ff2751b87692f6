import { createHook } from 'node:async_hooks';

/** What a signal means for a program of ours. A signal that is not here cannot be caught, or must not be. */
export type SignalMeaning = 'stop' | 'reload' | 'ignore';

/** SIGKILL and SIGSTOP cannot be caught. SIGSEGV, SIGBUS, SIGFPE and SIGILL are faults of the processor: a handler would
 *  return to the faulty instruction forever. SIGTSTP, SIGTTIN and SIGTTOU only pause. SIGCHLD, SIGCONT, SIGURG and SIGWINCH do
 *  nothing anyway, and Node ignores SIGPIPE and SIGXFSZ. The C library keeps 32 and 33 for itself. */
export const signalMeanings = {
  SIGINT: 'stop',
  SIGTERM: 'stop',
  SIGQUIT: 'stop',
  SIGABRT: 'stop',
  SIGTRAP: 'stop',
  SIGSYS: 'stop',
  SIGHUP: 'reload',
  SIGUSR1: 'ignore', // without a handler, Node opens its debugger
  SIGUSR2: 'ignore',
  SIGALRM: 'ignore',
  SIGVTALRM: 'ignore',
  SIGPROF: 'ignore',
  SIGIO: 'ignore',
  SIGPWR: 'ignore',
  SIGXCPU: 'ignore',
  SIGSTKFLT: 'ignore',
} as const satisfies Partial<Record<NodeJS.Signals, SignalMeaning>>;

/** Real-time signals, which Node has no names for. */
const realTime = { first: 34, last: 64 };

interface SignalHandle {
  onsignal: () => void;
  unref(): void;
  start(signal: number): number;
}

/** Handles every signal of `signalMeanings`, and the real-time signals as ignored ones. */
export function onSignals(handle: (signal: string, meaning: SignalMeaning) => void): void {
  for (const [signal, meaning] of Object.entries(signalMeanings)) {
    try {
      process.on(signal, () => handle(signal, meaning));
    } catch {
      // This system does not have it.
    }
  }
  if (process.platform === 'linux') catchRealTime((number) => handle(`signal ${number}`, 'ignore'));
}

/** Node has no public way to catch a signal by its number; this is what its own `process.on` uses. */
function catchRealTime(handle: (number: number) => void): void {
  const Signal = signalClass();
  // A Node without it: then these signals end the process, as they do by default.
  if (Signal === null) return;
  for (let number = realTime.first; number <= realTime.last; number++) {
    const wrap = new Signal();
    wrap.unref();
    wrap.onsignal = () => handle(number);
    if (wrap.start(number) === 0) caught.push(wrap);
  }
}

/** Seen while Node makes one for itself; `process.binding`, which had it, is without it since Node 24. */
function signalClass(): (new () => SignalHandle) | null {
  let found: (new () => SignalHandle) | null = null;
  const hook = createHook({
    init(_id, type, _trigger, handle) {
      if (type === 'SIGNALWRAP') found = handle.constructor as new () => SignalHandle;
    },
  });
  const nothing = (): void => {};
  hook.enable();
  // Any that is not caught so far: only the first listener of a signal makes one.
  process.on('SIGWINCH', nothing);
  hook.disable();
  process.off('SIGWINCH', nothing);
  return found;
}

const caught: SignalHandle[] = [];
