import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { runProcess } from '../process/run-process.ts';
import type { PostgresBin } from './postgres-bin.ts';

const option = 'sync-safekeepers';
const askMs = 5000;

/** Whether this `postgres` has `--sync-safekeepers`, as Neon's has. It is not run for that: a stock PostgreSQL would take the
 *  option for a setting. A script that starts another `postgres` has it when Neon's library is installed beside it. */
export async function knowsSync(
  bin: Pick<PostgresBin, 'path' | 'sibling'>,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<boolean> {
  const { found, isScript } = await mentions(bin.path, signal);
  return found || (isScript && (await hasNeonLibrary(bin, env, signal)));
}

async function mentions(path: string, signal: AbortSignal): Promise<{ found: boolean; isScript: boolean }> {
  let isScript = false;
  let rest = '';
  for await (const chunk of createReadStream(path, { signal, highWaterMark: 1024 * 1024 })) {
    const text = rest + (chunk as Buffer).toString('latin1');
    isScript ||= rest === '' && text.startsWith('#!');
    if (text.includes(option)) return { found: true, isScript };
    rest = text.slice(-option.length);
  }
  return { found: false, isScript };
}

/** Neon's library is not part of a stock PostgreSQL, which would not start with it in `shared_preload_libraries`. */
export async function hasNeonLibrary(
  bin: Pick<PostgresBin, 'sibling'>,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const command = { command: bin.sibling('pg_config'), args: ['--pkglibdir'], env, cwd: '/' };
    const { stdout } = await runProcess({ ...command, limitMs: askMs }, signal);
    await access(join(stdout.trim(), 'neon.so'));
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
