import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Whether a process listens on a TCP port, of any address; null when the system does not let us see it.
 *  @see https://man7.org/linux/man-pages/man5/proc_pid_net.5.html */
export function listensOn(pid: number, port: number): boolean | null {
  try {
    const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => listeners(`/proc/${pid}/net/${table}`, port)));
    return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(socketOf(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return null;
  }
}

/** `TCP_LISTEN` of the kernel. */
const listening = '0A';

/** Inodes of the sockets that listen on the port, in the network of the process. */
function listeners(table: string, port: number): string[] {
  const lines = readFileSync(table, 'utf8').split('\n').slice(1);
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const found = state === listening && Number.parseInt(local.split(':')[1] ?? '', 16) === port;
    return found ? [`socket:[${inode}]`] : [];
  });
}

/** `socket:[INODE]`; another text for other files, and for one that was closed meanwhile. */
function socketOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
