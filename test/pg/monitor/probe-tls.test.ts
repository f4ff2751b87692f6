import { rmSync } from 'node:fs';
import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inline } from '../../../src/core/errors.ts';
import { probe } from '../../../src/monitor/probe.ts';
import type { PgTls } from '../../../src/pg/target.ts';
import { authenticationOk, cstring, message, readyForQuery } from '../../../src/wire/messages.ts';
import { scratchDir } from '../../support/cluster.ts';
import { type Certificate, makeCertificate, startTlsFront } from '../../support/tls.ts';

const never = new AbortController().signal;
const require: PgTls = { mode: 'require', serverName: '127.0.0.1', rootCert: null };

let home: string;
let certificate: Certificate;
beforeAll(() => {
  home = scratchDir('probe-tls');
  certificate = makeCertificate(home, 'localhost');
});
afterAll(() => rmSync(home, { recursive: true }));

/** What a probe makes of a server of this conduct: the limit is short, and its socket must be closed in the end. */
async function ask(conduct: (socket: Socket) => void, tls?: PgTls, front = false): Promise<string> {
  const closed: Promise<unknown>[] = [];
  const server = createServer((socket) => {
    closed.push(
      once(
        socket.on('error', () => {}),
        'close',
      ),
    );
    conduct(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const before = front ? await startTlsFront(port, certificate) : null;
  const target = {
    ...{
      host: '127.0.0.1',
      port: before?.port ?? port,
      user: 'a',
      password: null,
      database: 'd',
      options: '',
    },
    ...(tls !== undefined && { tls }),
  };
  const limitsMs = { connect: 150, query: 150 };
  try {
    const outcome = await probe(target, {
      applicationName: 'test',
      limitsMs,
      onPhase: () => {},
      signal: never,
    }).catch(inline);
    await Promise.all(closed);
    return outcome;
  } finally {
    before?.stop();
    server.close();
  }
}

const silent = (socket: Socket): void => void socket.resume();
const welcome = Buffer.concat([authenticationOk(), readyForQuery()]);
/** Sends the one thing after the other, each in return for something. */
const replies =
  (...bytes: readonly (string | Buffer)[]) =>
  (socket: Socket): void => {
    const left = [...bytes];
    socket.on('data', () => {
      const next = left.shift();
      if (next !== undefined) socket.write(next);
    });
  };

test.each([
  ['the log-in', silent, undefined, false],
  ['the question', replies(welcome), undefined, false],
  ['the request for TLS', silent, require, false],
  ['the handshake', replies('S'), require, false],
  ['the log-in over TLS', silent, require, true],
  ['the question over TLS', replies(welcome), require, true],
  ['the rest of a message', replies(welcome.subarray(0, 7)), undefined, false],
] as const)('a server that never answers %s is given up in time', async (_, conduct, tls, front) => {
  expect(await ask(conduct, tls, front)).toMatch(/(could not connect to|no answer from) .*: timeout expired/);
});

test.each([
  ['has no TLS', replies('N'), 'The server does not support SSL connections'],
  [
    'knows no TLS',
    replies(message('E', cstring('what?'))),
    'There was an error establishing an SSL connection',
  ],
  // CVE-2021-23222: bytes in the clear that would count as if they had come encrypted.
  [
    'puts more behind its S',
    replies(`S${welcome.toString('latin1')}`),
    'There was an error establishing an SSL connection',
  ],
  ['closes in answer', (socket: Socket) => void socket.resume().end(), 'the connection was closed'],
  ['closes in the handshake', (socket: Socket) => void socket.once('data', () => socket.end('S')), 'TLS'],
  [
    'answers the handshake with something else',
    replies('S', 'HTTP/1.1 400 Bad Request\r\n\r\n'),
    'wrong version number',
  ],
])('a server that %s ends the probe at once', async (_, conduct, words) => {
  expect(await ask(conduct, require)).toContain(words);
});

test('trusted issuers that cannot be read are the reason', async () => {
  const outcome = await ask(silent, { mode: 'verify-ca', serverName: 'localhost', rootCert: '/nowhere' });
  expect(outcome).toContain('cannot read the trusted issuers in /nowhere');
});
