/** Ctrl-C, or a request to stop, while a command waits for what it has begun. */
export class Interrupted extends Error {
  readonly #by: NodeJS.Signals;

  constructor(by: NodeJS.Signals) {
    super(`interrupted by ${by}`);
    this.#by = by;
  }

  /** Ends this process as the signal would have: a shell tells that from an exit code (130 for Ctrl-C). */
  end(): void {
    process.kill(process.pid, this.#by);
  }
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Does work that a signal aborts, with `Interrupted` as the reason. A second signal ends this process at once. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const release = (): void => {
    for (const one of signals) process.off(one, handle);
  };
  const handle = (by: NodeJS.Signals): void => {
    if (!stop.signal.aborted) return stop.abort(new Interrupted(by));
    release();
    new Interrupted(by).end();
  };
  for (const one of signals) process.on(one, handle);
  try {
    return await work(stop.signal);
  } finally {
    release();
  }
}
