import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchDir } from './scratch.ts';

export type FileSystem = 'ext4' | 'xfs' | 'btrfs';

export interface Mounted {
  /** Everybody may create something there. */
  readonly path: string;
  release(): void;
}

/** Only the blocks that are used take space. */
const bytes = 4 * 1024 ** 3;
const quiet = { ext4: ['-q', '-F'], xfs: ['-q'], btrfs: ['-q'] } as const;

const run = (program: string, ...args: readonly string[]): void =>
  void execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });

/** A file system in a file. Throws where that is not possible: it takes root, a loop device and the programs of the file system. */
function mounted(kind: FileSystem): Mounted {
  const dir = scratchDir(kind);
  const [image, path] = [join(dir, 'image'), join(dir, 'm')];
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  try {
    writeFileSync(image, '');
    truncateSync(image, bytes);
    run(`mkfs.${kind}`, ...quiet[kind], image);
    mkdirSync(path);
    run('mount', '-o', 'loop', image, path);
    chmodSync(path, 0o1777);
  } catch (error) {
    remove();
    throw error;
  }
  return {
    path,
    release() {
      // What has just been killed may hold it for a moment longer.
      run('umount', '--lazy', path);
      remove();
    },
  };
}

/** Null where it is not possible; stderr says why. */
export function loopFileSystem(kind: FileSystem): Mounted | null {
  try {
    return mounted(kind);
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string };
    process.stderr.write(`not tried on ${kind}: ${stderr?.toString().trim() ?? ''} ${message}\n`);
    return null;
  }
}
