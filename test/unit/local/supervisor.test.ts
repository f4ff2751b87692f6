import { expect, test } from 'vitest';
import { ComputeError } from '../../../src/core/errors.ts';
import { type Kept, keepRunning } from '../../../src/local/supervisor.ts';
import type { Exit, RunningProcess } from '../../../src/process/process.ts';

/** A child that is nothing but its exit: no process is needed to test who is started again, and when. */
function fakeChild(): { child: RunningProcess; end: (exit: Exit) => void } {
  let end = (_exit: Exit): void => {};
  let exit: Exit | null = null;
  const exited = new Promise<Exit>((resolve) => {
    end = (how) => {
      exit = how;
      resolve(how);
    };
  });
  const child: RunningProcess = {
    name: 'fake',
    pid: 1,
    stdin: null,
    stdout: null,
    stderr: null,
    exited,
    closed: exited,
    get exit() {
      return exit;
    },
    kill: () => true,
  };
  return { child, end: (how) => end(how) };
}

function kept(ready: Kept['ready']): {
  kept: Kept;
  said: string[];
  children: ReturnType<typeof fakeChild>[];
} {
  const said: string[] = [];
  const children: ReturnType<typeof fakeChild>[] = [];
  return {
    said,
    children,
    kept: {
      name: 'fake',
      async start() {
        const one = fakeChild();
        children.push(one);
        said.push('start');
        return one.child;
      },
      ready,
      async stop({ exit }) {
        if (exit === null) {
          said.push('stop');
          children.at(-1)?.end({ code: 0, signal: null });
        }
      },
      onReady: (restart) => said.push(restart ? 'ready again' : 'ready'),
      onExit: (_exit, _failure, nextMs) => said.push(`exit, next in ${nextMs}`),
    },
  };
}

const died: Exit = { code: null, signal: 'SIGKILL' };

test('a child that dies is started again, at once the first time and later the more often it happens', async () => {
  const stop = new AbortController();
  const {
    kept: child,
    said,
    children,
  } = kept(async () => {
    if (children.length === 4) stop.abort();
    else setImmediate(() => children.at(-1)?.end(died));
  });
  await keepRunning(child, stop.signal);
  expect(said).toEqual([
    'start',
    'ready',
    'exit, next in 0',
    'start',
    'ready again',
    'exit, next in 100',
    'start',
    'ready again',
    'exit, next in 200',
    'start',
    'ready again',
    'stop',
  ]);
});

test('a child that never becomes ready is given up with its own reason', async () => {
  const reason = new ComputeError('local_storage', 'the disk is full');
  const { kept: child, said } = kept(async () => {
    throw reason;
  });
  await expect(keepRunning(child, new AbortController().signal)).rejects.toBe(reason);
  expect(said.filter((what) => what === 'start')).toHaveLength(3);
  expect(said.filter((what) => what === 'stop')).toHaveLength(3);
});

test('a child that ends while it starts is told from one that is slow', async () => {
  const { kept: child, children } = kept((_child, signal) => {
    children.at(-1)?.end({ code: 7, signal: null });
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  });
  await expect(keepRunning(child, new AbortController().signal)).rejects.toThrow(
    'fake exited during its start (exit code 7)',
  );
});

test('a stop during the start ends the child and is not a failure', async () => {
  const stop = new AbortController();
  const { kept: child, said } = kept((_child, signal) => {
    queueMicrotask(() => stop.abort());
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  });
  await keepRunning(child, stop.signal);
  expect(said).toEqual(['start', 'stop']);
});

test('a child that had run, and then cannot even be started, is tried again; one that never ran is not', async () => {
  const stop = new AbortController();
  const {
    kept: child,
    said,
    children,
  } = kept(async () => {
    if (children.length === 2) stop.abort();
    else setImmediate(() => children.at(-1)?.end(died));
  });
  const failures: unknown[] = [];
  const full = new Error('ENOSPC');
  let starts = 0;
  const start = (): Promise<RunningProcess> => {
    starts++;
    return starts === 2 || starts === 3 ? Promise.reject(full) : child.start();
  };
  const onExit: Kept['onExit'] = (exit, failure, nextMs) => {
    failures.push(failure);
    child.onExit(exit, failure, nextMs);
  };
  await keepRunning({ ...child, start, onExit }, stop.signal);
  expect(failures).toEqual([null, full, full]);
  expect(said.at(-2)).toBe('ready again');
  const never: Kept = { ...child, start: () => Promise.reject(full) };
  await expect(keepRunning(never, new AbortController().signal)).rejects.toBe(full);
});
