import { never } from '../core/abort.ts';
import { raceAbort, sleep } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { splitLines } from '../process/lines.ts';
import { type RunningProcess, startProcess } from '../process/process.ts';
import { endChild, termThenKill } from '../process/end.ts';

export interface InformantOptions {
  /** The program, usually `/bin/vm-informant`. */
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  /** Called at each start. */
  readonly onStart: () => void;
  /** Called with the reason when it does not run, although it should. */
  readonly onTrouble: (why: string) => void;
}

const againMs = 5000;
const termMs = 2000;

/** Keeps the vm-informant of older images running until `signal` aborts. When it exits or cannot be started, it is
 *  started again after `pauseMs` milliseconds. When this resolves, it has exited. */
export async function superviseInformant(
  options: InformantOptions,
  signal: AbortSignal,
  pauseMs = againMs,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await runOnce(options, signal);
    } catch (error) {
      options.log.warn(`vm-informant: ${explained(error)}`);
      options.onTrouble(explained(error));
    }
    await sleep(pauseMs, signal).catch(() => {});
  }
}

async function runOnce(
  { path, env, log, onStart, onTrouble }: InformantOptions,
  signal: AbortSignal,
): Promise<void> {
  const say = (line: string): void => log.info(`vm-informant: ${line}`);
  const child = await startProcess({
    command: path,
    args: [],
    env,
    cwd: '/',
    detached: true,
    onStderrLine: say,
  });
  onStart();
  log.info(`started ${path}, pid ${child.pid}`);
  readStdout(child, say);
  try {
    const { code, signal: by } = await raceAbort(child.exited, signal);
    const how = `exited with ${code === null ? `signal ${by}` : `code ${code}`}`;
    if (code === 0) log.info(`vm-informant ${how}`);
    else log.warn(`vm-informant ${how}`);
    onTrouble(`it ${how}, and is started again`);
  } catch (error) {
    if (!signal.aborted) throw error;
    await endChild(child, termThenKill(termMs), never, { group: true });
  } finally {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

function readStdout({ stdout }: RunningProcess, say: (line: string) => void): void {
  const lines = splitLines(say);
  stdout?.on('data', (chunk: Buffer) => lines.push(chunk)).once('close', () => lines.end());
}
