import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Whether a process listens on a TCP port, of any address; null when the system does not let us see it.
 *  @see https://man7.org/linux/man-pages/man5/proc_pid_net.5.html */
export const listensOn = (pid: number, port: number): boolean | null =>
  hasSocket(pid, ({ state, localPort }) => state === listening && localPort === port);

/** Whether a process has a connection to a TCP port, of any address; null when the system does not let us see it. One that
 *  the other side has closed counts until the process notices. */
export const isConnectedTo = (pid: number, port: number): boolean | null =>
  hasSocket(pid, ({ state, remotePort }) => connected.includes(state) && remotePort === port);

/** `TCP_LISTEN` of the kernel. */
const listening = '0A';
/** `TCP_ESTABLISHED` and `TCP_CLOSE_WAIT`. */
const connected = ['01', '08'];

interface TcpSocket {
  readonly state: string;
  readonly localPort: number;
  readonly remotePort: number;
}

function hasSocket(pid: number, matches: (socket: TcpSocket) => boolean): boolean | null {
  try {
    const own = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => socketOf(`/proc/${pid}/fd/${fd}`)));
    // The second table is read only where the first one does not have it.
    return ['tcp', 'tcp6'].some((table) =>
      matching(`/proc/${pid}/net/${table}`, matches).some((socket) => own.has(socket)),
    );
  } catch {
    return null;
  }
}

/** Inodes of such sockets in the network of the process. */
function matching(table: string, matches: (socket: TcpSocket) => boolean): string[] {
  const portOf = (address: string): number => Number.parseInt(address.split(':')[1] ?? '', 16);
  const lines = readFileSync(table, 'latin1').split('\n').slice(1);
  return lines.flatMap((line) => {
    const [, local = '', remote = '', state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
    const found = matches({ state, localPort: portOf(local), remotePort: portOf(remote) });
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
