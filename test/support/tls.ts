import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { osUser } from './postgres-versions.ts';

export interface Certificate {
  readonly keyFile: string;
  readonly certFile: string;
}

/** A self-signed certificate for `name` in `home`, with a key that Postgres takes, too. */
export function makeCertificate(home: string, name: string, days = 2): Certificate {
  const [keyFile, certFile] = [join(home, `${name}.key`), join(home, `${name}.crt`)];
  const kind = [
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    String(days),
  ];
  const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  execFileSync('openssl', ['req', ...kind, ...names, '-keyout', keyFile, '-out', certFile], {
    stdio: 'pipe',
  });
  if (osUser !== null) chownSync(keyFile, osUser.uid, osUser.gid);
  return { keyFile, certFile };
}

export interface TlsFront {
  readonly port: number;
  /** How many clients asked for TLS. */
  readonly asked: number;
  stop(): void;
}

const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** What stands before a server without TLS: takes the SSLRequest of the Postgres protocol, decrypts and passes on. */
export async function startTlsFront(target: number, { keyFile, certFile }: Certificate): Promise<TlsFront> {
  const sockets = new Set<Socket>();
  const pair = { key: readFileSync(keyFile), cert: readFileSync(certFile) };
  let asked = 0;
  const server = createServer((client) => {
    sockets.add(client.on('error', () => {}));
    client.once('data', (first: Buffer) => {
      if (!first.equals(sslRequest)) {
        client.destroy();
        return;
      }
      asked++;
      client.pause();
      client.write('S');
      const open = new TLSSocket(client, { isServer: true, ...pair }).on('error', () => client.destroy());
      const behind = connect(target, '127.0.0.1').on('error', () => client.destroy());
      sockets.add(behind);
      open.pipe(behind).pipe(open);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get asked() {
      return asked;
    },
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
