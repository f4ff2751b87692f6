import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../program.ts';
import { type Image, plainConfig } from './base.ts';
import { type Container, type RunOptions, runImage } from './container.ts';
import { makeContext } from './replay.ts';

const checkout = fileURLToPath(new URL('../../..', import.meta.url));

/** In place of the stage that builds: the executable as this machine builds it, of the same files. */
export function builtHere(dir: string): Image {
  const { arch } = process;
  const context = join(dir, 'src');
  makeContext(context);
  for (const installed of ['node_modules', 'scripts/runtime/node_modules'])
    symlinkSync(join(checkout, installed), join(context, installed));
  execFileSync(process.execPath, ['scripts/build-executable.mjs', arch], { cwd: context });
  const bin = join(dir, 'usr/local/bin');
  mkdirSync(bin, { recursive: true });
  copyFileSync(join(context, `build/linux-${arch}/compute_ctl`), join(bin, 'compute_ctl'));
  return { root: dir, config: plainConfig };
}

/** A volume of its own, as an engine makes it from the image's directory; for others as they would make it. */
export function newVolume(dir: string, uid: number): string {
  const volume = mkdtempSync(join(dir, 'volume-'));
  chmodSync(volume, 0o755);
  chownSync(volume, uid, uid);
  return volume;
}

/** compute-local with its data in a volume, closed as compose.yaml has it. */
export const runClosed = (image: Image, volume: string, options: RunOptions = {}): Promise<Container> =>
  runImage(image, {
    readOnly: true,
    mounts: { '/var/lib/compute-local': volume, '/tmp': 'tmpfs' },
    ...options,
  });

/** Until the image's health check says so. */
export async function healthy(container: Container): Promise<void> {
  const probe = (): 'ended' | 'healthy' | undefined => {
    if (container.ended()) return 'ended';
    return container.healthcheck().status === 0 ? 'healthy' : undefined;
  };
  const found = await eventually('the health check', probe, 120_000).catch((error: unknown) => error);
  if (found !== 'healthy') throw new Error(container.output(), { cause: found });
}

/** @returns what psql prints */
export function ask(container: Container, ...statements: string[]): string {
  const options = ['-X', '-q', '-At', ...statements.flatMap((sql) => ['-c', sql])];
  const { status, stdout, stderr } = container.exec('compute-local', 'psql', '--', ...options);
  if (status !== 0) throw new Error(`psql ended with ${status}: ${stderr}`);
  return stdout.trim();
}

/** Commits one row after the other until the server ends.
 *  @returns the last number that the server has confirmed, when it has ended */
export async function commitUntilTheEnd(
  container: Container,
  from: number,
  end: () => Promise<unknown>,
): Promise<number> {
  const rows = Array.from(
    { length: 200_000 },
    (_, at) => `insert into kept values (${from + at}) returning n;`,
  );
  const psql = container.start(`${rows.join('\n')}\n`, 'compute-local', 'psql', '--', '-X', '-q', '-At');
  let text = '';
  psql.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  psql.stderr.resume();
  const confirmed = (): number => text.split('\n').length - 1;
  await eventually('200 commits', () => confirmed() >= 200 || undefined);
  await end();
  await eventually('the end of psql', () => psql.exitCode ?? psql.signalCode ?? undefined);
  // The last line may be half of a number.
  return Number(text.split('\n').at(-2));
}
