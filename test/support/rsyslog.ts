import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import type { RsyslogSettings } from '../../src/services/rsyslog/settings.ts';
import { unpacked } from './debian.ts';
import { osUser } from './postgres-versions.ts';
import { scratchDir } from './scratch.ts';
import type { Certificate } from './tls.ts';

const packages = ['rsyslog', 'rsyslog-gnutls', 'libestr0', 'libfastjson4', 'liblognorm5'];

/** Debian's rsyslogd, unpacked and not installed; null where it cannot be had. */
export function realRsyslogd(): string | null {
  const root = unpacked('rsyslog', packages);
  if (root === null) return null;
  const program = join(root, 'run-rsyslogd');
  if (!existsSync(program)) {
    const lib = join(root, 'usr/lib/x86_64-linux-gnu');
    const text = `#!/bin/sh\nexport LD_LIBRARY_PATH=${lib}\nexec ${root}/usr/sbin/rsyslogd -M${lib}/rsyslog "$@"\n`;
    writeFileSync(program, text);
    chmodSync(program, 0o755);
  }
  return program;
}

export interface SupervisedRsyslog {
  readonly settings: RsyslogSettings;
  /** A socket for syslog(3) that it reads. */
  readonly socket: string;
  /** Which process it is now; null: none. */
  pid(): number | null;
  /** What it has written itself. */
  output(): string;
  /** The last line of its own statistics that has all these words. */
  statistics(...words: readonly string[]): string;
  stop(): Promise<void>;
}

/** A rsyslogd of our own, with its files in a directory of its own, and a supervisor that starts it again as init does.
 *  @param more lines of its configuration */
export function startRsyslog(program: string, more = ''): SupervisedRsyslog {
  const home = scratchDir('rsyslog');
  const at = (name: string): string => join(home, name);
  for (const name of ['rsyslog.d', 'work']) {
    mkdirSync(at(name));
    if (osUser !== null && process.getuid?.() === 0) chownSync(at(name), osUser.uid, osUser.gid);
  }
  const conf = `module(load="imuxsock" SysSock.Name="${at('socket')}")
module(load="impstats" interval="1" log.syslog="off" log.file="${at('statistics')}")
${more}
*.* /dev/null
$IncludeConfig ${at('rsyslog.d')}/*.conf
`;
  writeFileSync(at('rsyslog.conf'), conf);
  const again = `while [ ! -e ${at('stop')} ]; do ${program} -n -i ${at('pid')} -f ${at('rsyslog.conf')} >>${at('output')} 2>&1; sleep 0.05; done`;
  const supervisor: ChildProcess = spawn('sh', ['-c', again], {
    stdio: 'ignore',
    cwd: home,
    ...(process.getuid?.() === 0 ? osUser : {}),
  });
  const read = (name: string): string => (existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '');
  const pid = (): number | null => Number(read('pid')) || null;
  return {
    settings: {
      program,
      conf: at('rsyslog.conf'),
      confDir: at('rsyslog.d'),
      pidFile: at('pid'),
      workDir: at('work'),
      caFile: at('ca.crt'),
    },
    socket: at('socket'),
    pid,
    output: () => read('output'),
    statistics: (...words) =>
      read('statistics')
        .split('\n')
        .findLast((line) => words.every((word) => line.includes(word))) ?? '',
    async stop() {
      if (!existsSync(home)) return;
      const ended = once(supervisor, 'exit');
      writeFileSync(at('stop'), '');
      while (supervisor.exitCode === null && supervisor.signalCode === null) {
        const running = pid();
        try {
          if (running !== null) process.kill(running, 'SIGKILL');
        } catch {
          // It has ended.
        }
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))]);
      }
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export interface Collector {
  readonly port: number;
  /** The messages so far. */
  messages(): string[];
  /** Reads nothing more until `resume`; what is connected stays so. */
  pause(): void;
  resume(): void;
  /** Away: nobody listens, and the connections are cut. */
  leave(): Promise<void>;
  comeBack(): Promise<void>;
}

/** What logs are sent to over TCP, one message a line. */
export async function startCollector(host: string, tls?: Certificate): Promise<Collector> {
  const sockets = new Set<Socket>();
  let text = '';
  let paused = false;
  const take = (socket: Socket): void => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    if (paused) socket.pause();
  };
  const make = (): Server =>
    tls === undefined
      ? createServer(take)
      : createTlsServer({ key: readFileSync(tls.keyFile), cert: readFileSync(tls.certFile) }, take);
  let server = make().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    messages: () => text.split('\n').slice(0, -1),
    pause() {
      paused = true;
      for (const socket of sockets) socket.pause();
    },
    resume() {
      paused = false;
      for (const socket of sockets) socket.resume();
    },
    async leave() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async comeBack() {
      server = make().listen(port, host);
      await once(server, 'listening');
    },
  };
}
