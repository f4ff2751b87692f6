/** Bytes of anonymous memory in the text of a `memory.stat`: the kernel's two anonymous lists. They include the shared
 *  buffers, but neither page cache (so not the file cache) nor swap. Null when neither list is in the text; this must
 *  never count as zero use.
 *  @see https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files */
export function anonymousBytes(memoryStat: string): number | null {
  const found = new Map<string, number>();
  for (const line of memoryStat.split('\n')) {
    const [, key, value] = /^(\S+) (\d+)$/.exec(line) ?? [];
    if (key !== undefined) found.set(key, Number(value));
  }
  const active = found.get('active_anon');
  const inactive = found.get('inactive_anon');
  if (active === undefined && inactive === undefined) return null;
  return (active ?? 0) + (inactive ?? 0);
}

/** Bytes of `MemTotal` in the text of /proc/meminfo; null when it is missing. */
export function memTotalBytes(meminfo: string): number | null {
  const kib = /^MemTotal:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

/** A container's limit in bytes: `memory.max`, if both files contain numbers, which is so only inside a container. */
export function containerLimitBytes(memoryCurrent: string | null, memoryMax: string | null): number | null {
  const isNumber = (text: string | null): text is string => text !== null && /^\d+\s*$/.test(text);
  return isNumber(memoryCurrent) && isNumber(memoryMax) ? Number(memoryMax) : null;
}
