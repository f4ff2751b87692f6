import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { until } from '../../core/poll.ts';
import { Queue } from '../../core/queue.ts';
import { writeAtomically } from '../../process/files.ts';
import { isAlive } from '../../process/identity.ts';
import { readSmallByLink } from '../../process/regular-file.ts';
import { runProcess } from '../../process/run-process.ts';
import { endDaemon, findDaemon, requireDaemon } from './daemon.ts';
import type { RsyslogSettings } from './settings.ts';
import { head } from './text.ts';

const checkMs = 10_000;
/** The original gives its supervisor about as long. */
const restartMs = 8000;

export interface RsyslogOptions {
  readonly settings: RsyslogSettings;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
}

/** The files of ours that rsyslogd reads, and its restart when one of them has changed. */
export class Rsyslog {
  readonly settings: RsyslogSettings;
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: Log;
  readonly #turns = new Queue(1);
  /** A file has changed since rsyslogd was started. */
  #stale = false;

  constructor({ settings, env, log }: RsyslogOptions) {
    this.settings = settings;
    this.#env = env;
    this.#log = log;
  }

  /** Resolves when rsyslogd runs with this content of the file. Content that is there already changes nothing.
   *  @param name in the directory of its configuration
   *  @throws ComputeError when rsyslogd refuses the content, which is then not there, or does not run; the system's error */
  async apply(name: string, text: string, signal: AbortSignal): Promise<void> {
    await this.#turns.add(() => this.#write(name, text, signal), signal);
    // A turn of its own: one restart is enough for several files.
    await this.#turns.add(() => this.#restart(signal), signal);
  }

  /** Has rsyslogd started again although its files are the same.
   *  @throws as `apply` */
  async restart(signal: AbortSignal): Promise<void> {
    this.#stale = true;
    await this.#turns.add(() => this.#restart(signal), signal);
  }

  /** Removes the file, if it is ours, and ends the rsyslogd that has read it. Does not wait for the next one. */
  async remove(name: string): Promise<void> {
    await this.#turns.add(async () => {
      if (read(this.#path(name))?.startsWith(head) !== true) return;
      rmSync(this.#path(name), { force: true });
      const daemon = findDaemon(this.settings);
      if (daemon !== null) endDaemon(daemon);
      this.#log.info(`${this.#path(name)} is removed, rsyslogd restarts`);
    }, never);
  }

  #path(name: string): string {
    return join(this.settings.confDir, name);
  }

  async #write(name: string, text: string, signal: AbortSignal): Promise<void> {
    const path = this.#path(name);
    const earlier = read(path);
    if (earlier === text) return;
    writeAtomically(path, text, { mode: 0o644 });
    try {
      await this.#check(signal);
    } catch (error) {
      if (earlier === null) rmSync(path, { force: true });
      else writeAtomically(path, earlier, { mode: 0o644 });
      throw error;
    }
    this.#stale = true;
    this.#log.info(`${path} is written`);
  }

  /** Its whole configuration, since the new file may contradict another one. */
  async #check(signal: AbortSignal): Promise<void> {
    const { program, conf } = this.settings;
    const args = ['-N1', '-f', conf];
    const { code, stderr } = await runProcess(
      { command: program, args, env: this.#env, cwd: '/', limitMs: checkMs },
      signal,
    );
    if (code === 0) return;
    const words = stderr
      .split('\n')
      .filter((line) => line.trim() !== '' && !/config validation run/.test(line))
      .join('; ');
    throw new ComputeError('internal', `rsyslogd refuses its configuration: ${words.slice(0, 2000)}`, {
      hint: `run: ${program} ${args.join(' ')}`,
    });
  }

  async #restart(signal: AbortSignal): Promise<void> {
    const before = requireDaemon(this.settings);
    if (!this.#stale) return;
    endDaemon(before);
    try {
      const started = (): boolean => !isAlive(before) && findDaemon(this.settings) !== null;
      await until('the restart of rsyslogd', started, { everyMs: 20, limitMs: restartMs }, signal);
    } catch (cause) {
      signal.throwIfAborted();
      const message = isAlive(before) ? 'rsyslogd does not end' : 'nobody has started rsyslogd again';
      throw new ComputeError('internal', message, {
        cause,
        hint: 'run it under a supervisor that always starts it again; with systemd: Restart=always',
      });
    }
    this.#stale = false;
    this.#log.info('rsyslogd was restarted');
  }
}

function read(path: string): string | null {
  try {
    return readSmallByLink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
