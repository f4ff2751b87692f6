import { readFileSync, readdirSync } from 'node:fs';

/** Pids of all processes, as the system has them now. */
const pids = (): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);

/** Empty when the process has ended or belongs to somebody else. */
function readOf(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

/** Names of the programs that a process has started and that still run, each once. */
export const childrenOf = (parent: number): string[] => {
  const own = pids().filter((pid) => new RegExp(`^PPid:\\s${parent}$`, 'm').test(readOf(pid, 'status')));
  return [...new Set(own.map((pid) => readOf(pid, 'comm').trim()).filter((name) => name !== ''))].toSorted();
};

/** Pids of the processes that have this in their environment, as `NAME=VALUE`. */
export const withVariable = (text: string): number[] =>
  pids().filter((pid) => readOf(pid, 'environ').split('\0').includes(text));
