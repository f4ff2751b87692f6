import { readFile } from 'node:fs/promises';

/** The hard limit for core dumps, in bytes, or `unlimited`: more cannot be asked for without privileges.
 *  @see man proc, /proc/[pid]/limits */
export async function coreLimit(): Promise<string> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  return /^Max core file size\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
}
