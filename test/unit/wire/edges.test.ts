import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cstring, message } from '../../../src/wire/messages.ts';
import { WireError, type WireServer, serveWire } from '../../../src/wire/server.ts';
import * as say from './conversation.ts';

let server: WireServer;
let port = 0;
beforeAll(async () => {
  server = serveWire({
    async onQuery(session, text) {
      if (text === 'boom') throw new WireError('55000', 'no way');
      if (text === 'torn') return session.copyOut(torn(), 'COPY 1');
      if (text === 'set') await session.complete('SET');
      else await session.rows(['text', 'nothing'], [[text, null]], 'SELECT 1');
    },
    columns: (text) => (text === 'set' ? null : ['text', 'nothing']),
    limits: { handshakeMs: 2000, idleMs: 2000, stallMs: 300, maxMessageBytes: 5000 },
  });
  port = (await server.listen(0, '127.0.0.1')).port;
});
afterAll(() => server.close(AbortSignal.abort()));

async function* torn(): AsyncGenerator<Buffer> {
  yield Buffer.from('half');
  throw new WireError('58030', 'the disk is gone');
}

const row = (text: string): string[] => [`dataRow ${text},null`, 'commandComplete SELECT 1'];
const code = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return say.untyped(bytes);
};

describe('before the log-in', () => {
  const cases: [string, Buffer, string[]][] = [
    ['a request to cancel is left without an answer', code(80877102), []],
    ['protocol 2 is refused', say.startup(0x20000), ['error 08P01: invalid protocol version 2.0']],
    [
      'a length below 8 is refused',
      Buffer.from([0, 0, 0, 7, 0, 3, 0]),
      ['error 08P01: invalid message of 7 bytes'],
    ],
    [
      'a length above 10000 is refused',
      Buffer.from([0, 0, 0x27, 0x11]),
      ['error 08P01: invalid message of 10001 bytes'],
    ],
    [
      'a start-up packet without an end is refused',
      say.untyped(Buffer.from('\0\x03\0\0user\0me\0')),
      ['error 08P01: invalid text without an end'],
    ],
    [
      'a minor version of protocol 3 that is not known is served',
      say.startup(0x30002),
      ['authenticationOk', 'readyForQuery'],
    ],
  ];
  test.each(cases)('%s', async (_, bytes, answer) => {
    expect(await say.converse(port, bytes, ...(answer.includes('readyForQuery') ? [say.leave] : []))).toEqual(
      answer,
    );
  });
});

describe('simple statements', () => {
  test('that come in one packet are answered one by one, in order', async () => {
    const said = await say.talk(port, say.query('a'), say.query('boom'), say.query('b'), say.leave);
    const failure = ['error 55000: no way'];
    const all = [['rowDescription', ...row('a')], failure, ['rowDescription', ...row('b')]];
    expect(said).toEqual(all.flatMap((answer) => [...answer, 'readyForQuery']));
  });

  test('without any text are answered as empty', async () => {
    expect(await say.talk(port, say.query(' ;\n'), say.leave)).toEqual(['emptyQuery', 'readyForQuery']);
  });

  test('that fail in the middle of a copy end with an error, and the session goes on', async () => {
    expect(await say.talk(port, say.query('torn'), say.query('set'), say.leave)).toEqual([
      'copyOutResponse',
      'copyData',
      'error 58030: the disk is gone',
      'readyForQuery',
      'commandComplete SET',
      'readyForQuery',
    ]);
  });

  test.each([
    ['without an end', message('Q', Buffer.from('select 1')), 'invalid text without an end'],
    ['above the limit', say.query('x'.repeat(5000)), 'invalid message of 5005 bytes'],
    ['in the place of which a password comes', message('p', cstring('hush')), 'invalid message p here'],
    ['of a type that nobody sends', message('!'), 'invalid message type 0x21'],
  ])('%s end the session', async (_, bytes, words) => {
    expect(await say.talk(port, bytes, say.query('a'), say.leave)).toEqual([`error 08P01: ${words}`]);
  });
});

describe('the extended protocol', () => {
  const run = [say.bind('', ''), say.execute('')];

  test('describes a statement with its parameters, a portal without', async () => {
    const said = await say.talk(
      port,
      ...[say.parse('', 'a'), say.describeStatement(''), say.bind('', '')],
      ...[say.describePortal(''), say.execute(''), say.sync, say.leave],
    );
    const described = [
      'parseComplete',
      'parameterDescription',
      'rowDescription',
      'bindComplete',
      'rowDescription',
    ];
    expect(said).toEqual([...described, ...row('a'), 'readyForQuery']);
  });

  test('says that a command has no columns', async () => {
    expect(
      await say.talk(port, say.parse('', 'set'), say.describeStatement(''), say.sync, say.leave),
    ).toEqual([...['parseComplete', 'parameterDescription', 'noData', 'readyForQuery']]);
  });

  test('skips everything between an error and the next Sync', async () => {
    const said = await say.talk(
      port,
      ...[say.parse('', 'boom'), ...run, say.parse('', 'a'), ...run, say.sync],
      ...[say.parse('', 'b'), ...run, say.sync, say.leave],
    );
    expect(said).toEqual([
      ...['parseComplete', 'bindComplete', 'error 55000: no way', 'readyForQuery'],
      ...['parseComplete', 'bindComplete', ...row('b'), 'readyForQuery'],
    ]);
  });

  test('runs statements that share one Sync', async () => {
    const each = [say.parse('', 'a'), ...run];
    const answer = ['parseComplete', 'bindComplete', ...row('a')];
    expect(await say.talk(port, ...each, ...each, say.sync, say.leave)).toEqual([
      ...answer,
      ...answer,
      'readyForQuery',
    ]);
  });

  test.each([
    ['a portal that does not exist', [say.execute('p')], 'portal "p" does not exist'],
    [
      'a portal after Sync',
      [say.parse('', 'a'), say.bind('p', ''), say.sync, say.execute('p')],
      'portal "p" does not exist',
    ],
    ['a statement that does not exist', [say.bind('', 's')], 'prepared statement "s" does not exist'],
    [
      'a statement that was closed',
      [say.parse('s', 'a'), say.closeStatement('s'), say.bind('', 's')],
      'prepared statement "s" does not exist',
    ],
  ])('answers 26000 for %s', async (_, bytes, words) => {
    const said = await say.talk(port, ...bytes, say.sync, say.leave);
    expect(said.slice(-2)).toEqual([`error 26000: ${words}`, 'readyForQuery']);
  });

  test('closes what is not there, and keeps a named statement beyond Sync', async () => {
    const said = await say.talk(
      port,
      ...[say.closeStatement('s'), say.parse('s', 'a'), say.sync],
      ...[say.bind('', 's'), say.execute(''), say.sync, say.leave],
    );
    expect(said).toEqual([
      ...['closeComplete', 'parseComplete', 'readyForQuery'],
      ...['bindComplete', ...row('a'), 'readyForQuery'],
    ]);
  });

  test('holds a thousand statements of a client, and no more', async () => {
    const many = Array.from({ length: 1001 }, (_, at) => say.parse(`s${at}`, 'a'));
    const said = await say.talk(port, ...many, say.sync, say.parse('s0', 'b'), say.sync, say.leave);
    expect(said.filter((line) => line === 'parseComplete')).toHaveLength(1001);
    expect(said.slice(1000, 1002)).toEqual(['error 54000: too many prepared statements', 'readyForQuery']);
  });

  test('ignores what is left of a copy, and Flush', async () => {
    const rest = [message('d', Buffer.from('x')), message('c'), message('f', cstring('no')), message('H')];
    expect(await say.talk(port, ...rest, say.sync, say.leave)).toEqual(['readyForQuery']);
  });
});
