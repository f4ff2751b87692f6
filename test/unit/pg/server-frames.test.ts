import * as fc from 'fast-check';
import { Parser } from 'pg-protocol/dist/parser.js';
import { expect, test } from 'vitest';
import { ServerFrames, frameLimits } from '../../../src/pg/server-frames.ts';
import {
  authenticationOk,
  commandComplete,
  errorResponse,
  message,
  readyForQuery,
} from '../../../src/wire/messages.ts';

const welcome = Buffer.concat([authenticationOk(), readyForQuery()]);

/** What the parser makes of it, after the frames have seen it in these pieces. */
function parsed(chunks: readonly Buffer[], frames = new ServerFrames()): unknown[] {
  const found: unknown[] = [];
  const parser = new Parser();
  for (const chunk of chunks)
    for (const messages of frames.push(chunk)) parser.parse(messages, (each) => void found.push(each));
  return found;
}

const run = (frames: ServerFrames, chunk: Buffer): Buffer[] => [...frames.push(chunk)];

const named = (found: readonly unknown[]): string[] => found.map((each) => (each as { name: string }).name);

test('messages arrive whole and in order, however they are cut into pieces', () =>
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(2000)), (cuts) => {
      const bytes = Buffer.concat([
        welcome,
        message('T', Buffer.from([0, 0])),
        message('D', Buffer.from([0, 1, 0, 0, 0, 3]), Buffer.from('abc')),
        message('d', Buffer.alloc(700, 7)),
        message('d'),
        message('d', Buffer.alloc(900, 8)),
        message('c'),
        errorResponse('42P01', 'x'.repeat(100)),
        commandComplete('SELECT 1'),
        readyForQuery(),
      ]);
      const at = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
      const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      // The parser moves what it has read inside the buffers that it is given.
      expect(named(parsed(pieces.map((piece) => Buffer.from(piece))))).toEqual([
        'authenticationOk',
        'readyForQuery',
        'rowDescription',
        'dataRow',
        'copyData',
        'copyData',
        'copyData',
        'copyDone',
        'error',
        'commandComplete',
        'readyForQuery',
      ]);
      const frames = new ServerFrames();
      expect(Buffer.concat(pieces.flatMap((piece) => [...frames.push(piece)]))).toEqual(bytes);
    }),
  ));

test('random bytes are passed on or refused, and never read for ever', () =>
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (chunks) => {
      const read = (): unknown => {
        try {
          return parsed(chunks.map((chunk) => Buffer.from(chunk)));
        } catch (error) {
          return error;
        }
      };
      expect(read()).toBeInstanceOf(Object);
    }),
  ));

/** A head that announces `bytes`, type and length included. */
function head(type: string, bytes: number): Buffer {
  const announced = message(type);
  announced.writeUInt32BE(bytes - 1, 1);
  return announced;
}

test('a message over 64 MB is refused by its head, whatever its type', () => {
  for (const type of ['D', 'd', 'T', 'E', 'N', 'S', 'A', 'C', 'K', 'G']) {
    const frames = new ServerFrames();
    run(frames, welcome);
    expect(() => run(frames, head(type, frameLimits.messageBytes + 1))).toThrow(
      'the server sent a message of 67108865 bytes, more than the limit of 67108864 bytes',
    );
    const atLimit = new ServerFrames();
    run(atLimit, welcome);
    expect(() => run(atLimit, head(type, frameLimits.messageBytes))).not.toThrow();
  }
  expect(() => run(new ServerFrames(), head('S', frameLimits.loginBytes + 1))).toThrow('more than the limit');
});

test.each([0, 1, 2, 3])('a message with length %i is refused, which a copy would read for ever', (length) => {
  const wrong = message('d');
  wrong.writeUInt32BE(length, 1);
  const frames = new ServerFrames();
  run(frames, welcome);
  expect(() => run(frames, wrong)).toThrow('wrong length');
});

test('an answer of ever more rows, results or requests for a copy is refused, before it fills the memory', () => {
  for (const each of [
    message('D', Buffer.from([0, 0])),
    commandComplete('SELECT 1'),
    message('G', Buffer.alloc(3)),
  ]) {
    const frames = new ServerFrames({ ...frameLimits, answerBytes: 1_000_000 });
    run(frames, welcome);
    const many = Buffer.concat(Array.from({ length: 1000 }, () => each));
    expect(() => {
      for (let sent = 0; sent < 20; sent++) run(frames, many);
    }).toThrow("the server's answer takes more than the limit of 1000000 bytes");
  }
});

test('many answers one after the other, notices and copied data are not counted together', () => {
  const frames = new ServerFrames({ ...frameLimits, answerBytes: 10_000 });
  run(frames, welcome);
  const answer = Buffer.concat([message('D', Buffer.alloc(2000)), readyForQuery()]);
  const notice = message('N', Buffer.from('SNOTICE\0Mhello\0\0'));
  for (let sent = 0; sent < 100; sent++)
    run(frames, Buffer.concat([answer, notice, message('d', Buffer.alloc(3000))]));
});

test('an authentication is asked for once, and by a method that there is', () => {
  const ask = (method: number): Buffer => message('R', Buffer.from([0, 0, 0, method]));
  for (const method of [3, 5, 10, 11, 12]) {
    const frames = new ServerFrames();
    run(frames, ask(method));
    expect(() => run(frames, ask(method))).toThrow('asks for authentication again');
  }
  const late = new ServerFrames();
  run(late, welcome);
  expect(() => run(late, ask(3))).toThrow('asks for authentication again');
  for (const method of [1, 2, 6, 7, 8, 9, 13, 99])
    expect(() => run(new ServerFrames(), ask(method))).toThrow(`authentication with code ${method}`);
  expect(() => run(new ServerFrames(), message('R'))).toThrow('code -1');
});

test('an error of 60 MB is shortened to what a log can hold', () => {
  const frames = new ServerFrames();
  const fields = `SERROR\0C57014\0M${'m'.repeat(50_000_000)}\0D${'d'.repeat(10_000_000)}\0Hhint\0\0`;
  const [error] = parsed([welcome, message('E', Buffer.from(fields))], frames).slice(-1) as [
    { message: string; code: string; detail: string; hint: string },
  ];
  expect(error).toMatchObject({
    code: '57014',
    message: 'm'.repeat(4095),
    detail: 'd'.repeat(4095),
    hint: 'hint',
  });
  const many = Buffer.from(`${'Xfield\0'.repeat(100_000)}\0`);
  expect(Buffer.concat(run(frames, message('E', many))).length).toBeLessThan(70_000);
});

test('a server that answers with text is called no PostgreSQL server, with the first letters', () => {
  const http = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
  for (const parts of [[http], [http.subarray(0, 2), http.subarray(2)]]) {
    const frames = new ServerFrames();
    expect(() => parts.forEach((part) => run(frames, part))).toThrow(
      'this is not a PostgreSQL server: its answer begins with "HTTP/"',
    );
  }
});
