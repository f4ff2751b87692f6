import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { runOk } from '../process/run-process.ts';
import type { VmSettings } from './vm-settings.ts';

export interface SizesContext {
  readonly vm: VmSettings;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
}

/** Resizing may have to read swapped-out memory back. */
const limitMs = 120_000;

/** Resizes the swap. The program removes itself once it has succeeded, so it may be gone after a restart.
 *  @throws ComputeError `vm` */
export async function resizeSwap(
  context: SizesContext,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const { vm, log } = context;
  const program = join(vm.toolsDir, 'resize-swap');
  try {
    // `--once` must come first: it makes the program remove itself.
    await bySudo(context, [program, '--once', String(sizeBytes)], signal);
    log.info(`swap resized to ${sizeBytes} bytes`);
  } catch (cause) {
    signal.throwIfAborted();
    if (!(await isGone(program))) {
      throw new ComputeError('vm', `could not resize the swap to ${sizeBytes} bytes`, { cause });
    }
    log.warn(
      `the swap is not resized, because ${program} does not exist; it may have been resized by an earlier start: ${explained(cause)}`,
    );
  }
}

/** Sets the file system's disk quota. @param quotaBytes 0: no limit
 *  @throws ComputeError `vm` */
export async function setDiskQuota(
  context: SizesContext,
  quotaBytes: number,
  mountpoint: string,
  signal: AbortSignal,
): Promise<void> {
  const kib = Math.floor(quotaBytes / 1024);
  try {
    await bySudo(context, [join(context.vm.toolsDir, 'set-disk-quota'), String(kib), mountpoint], signal);
  } catch (cause) {
    signal.throwIfAborted();
    const message = `could not set the disk quota of ${mountpoint} to ${kib} KiB`;
    throw new ComputeError('vm', message, { cause });
  }
  context.log.info(`disk quota of ${mountpoint} set to ${kib} KiB`);
}

async function bySudo(
  { vm, env }: SizesContext,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await runOk({ command: vm.sudo, args, env, cwd: '/', limitMs }, signal);
}

async function isGone(path: string): Promise<boolean> {
  try {
    await access(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
