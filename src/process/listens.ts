import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Whether a process listens on a TCP port, of any address; null when the system does not let us see it.
 *  @see https://man7.org/linux/man-pages/man5/proc_pid_net.5.html */
export const listensOn = (pid: number, port: number): boolean | null =>
  hasSocket(pid, port, ({ state, localPort }) => state === listening && localPort === port);

/** Whether every listener on a TCP port, of any address, is this process's user; false without any. For where `listensOn` is null: of
 *  users, everybody sees that. */
export function ownUserListensOn(port: number): boolean {
  try {
    const users = ['tcp', 'tcp6'].flatMap((table) =>
      socketsIn(`/proc/self/net/${table}`, port)
        .filter(({ state, localPort }) => state === listening && localPort === port)
        .map(({ user }) => user),
    );
    return users.length > 0 && users.every((user) => user === process.geteuid?.());
  } catch {
    return false;
  }
}

/** Whether a process has a connection to a TCP port, of any address; null when the system does not let us see it. One that
 *  the other side has closed counts until the process notices. */
export const isConnectedTo = (pid: number, port: number): boolean | null =>
  hasSocket(pid, port, ({ state, remotePort }) => connected.includes(state) && remotePort === port);

/** `TCP_LISTEN` of the kernel. */
const listening = '0A';
/** `TCP_ESTABLISHED` and `TCP_CLOSE_WAIT`. */
const connected = ['01', '08'];

interface TcpSocket {
  readonly state: string;
  readonly localPort: number;
  readonly remotePort: number;
  readonly user: number;
  readonly inode: string;
}

function hasSocket(pid: number, port: number, matches: (socket: TcpSocket) => boolean): boolean | null {
  try {
    const own = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => socketOf(`/proc/${pid}/fd/${fd}`)));
    // The second table is read only where the first one does not have it.
    return ['tcp', 'tcp6'].some((table) =>
      socketsIn(`/proc/${pid}/net/${table}`, port).some(
        (one) => matches(one) && own.has(`socket:[${one.inode}]`),
      ),
    );
  } catch {
    return null;
  }
}

/** The sockets of a network with that port on either side; none where the kernel has no IPv6. */
function socketsIn(table: string, port: number): TcpSocket[] {
  if (!existsSync(table)) return [];
  const portOf = (address: string): number => Number.parseInt(address.split(':')[1] ?? '', 16);
  // A machine can have tens of thousands of others, which are not taken apart.
  const shown = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  const lines = readFileSync(table, 'latin1')
    .split('\n')
    .slice(1)
    .filter((line) => line.includes(shown));
  return lines.map((line) => {
    const [, local = '', remote = '', state = '', , , , user = '', , inode = ''] = line.trim().split(/\s+/);
    return { state, localPort: portOf(local), remotePort: portOf(remote), user: Number(user), inode };
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
