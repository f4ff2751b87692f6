import { getSystemErrorMap } from 'node:util';
import { systemCode } from './system-hints.ts';

/** Where the system's own words say little. */
const own: Readonly<Record<string, string>> = {
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  EADDRNOTAVAIL: 'this machine does not have the address',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no answer in time',
  ECONNRESET: 'the other side closed the connection',
};

const names: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name server does not answer',
};

/** A message of the operating system in words: Node writes `ENOENT: no such file or directory, open '/x'` and
 *  `connect ECONNREFUSED 127.0.0.1:1`. Null for all others, also for those that say more than that. */
export function systemWords(error: unknown): string | null {
  const code = systemCode(error);
  if (code === null) return null;
  const { message, syscall = '', errno = 0, path } = error as NodeJS.ErrnoException;
  const [, words = getSystemErrorMap().get(errno)?.[1] ?? code] =
    new RegExp(`^${code}: ([^,]+), ${syscall}`).exec(message) ?? [];
  if (message.startsWith(`${code}: `)) return `${own[code] ?? words} (${code})${ofFile(path)}`;
  if (message.startsWith(`getaddrinfo ${code}`))
    return `${names[code] ?? words} (${code}):${message.slice(`getaddrinfo ${code}`.length)}`;
  const [, address] = new RegExp(`^connect ${code} (\\S+)`).exec(message) ?? [];
  if (address !== undefined) return `${own[code] ?? words} (${code}): ${address}`;
  return message.startsWith(`listen ${code}: `) ? `${own[code] ?? words} (${code})` : null;
}

/** A descriptor of this process tells nobody where the file is. */
const ofFile = (path: string | undefined): string =>
  path === undefined || path.startsWith('/proc/self/') ? '' : `: ${path}`;
