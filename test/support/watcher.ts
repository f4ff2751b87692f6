import { readFileSync, readdirSync } from 'node:fs';

/** Pids of the shells that end the Postgres of a compute_ctl that was killed, for a data directory. */
export const watchersOf = (pgdata: string): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const words = wordsOf(pid);
      return words[2]?.startsWith('# ends Postgres') === true && words.at(-1) === pgdata;
    });

function wordsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return []; // it has ended meanwhile
  }
}
