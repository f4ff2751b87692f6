import { PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { textSink } from '../../../src/postgres/log-sink.ts';
import { followPostmasterLog, joinLines } from '../../../src/postgres/postmaster-log.ts';
import { maxLineChars } from '../../../src/process/lines.ts';
import { eventually } from '../../support/program.ts';

const first = '2025-08-01 10:00:00.001 UTC [7] ERROR:  no';
const second = '2025-08-01 10:00:00.002 UTC [7] LOG:  next';

function follow() {
  const stream = new PassThrough();
  const written: string[] = [];
  return {
    stream,
    written,
    log: followPostmasterLog(stream, { sink: textSink((line) => written.push(line)) }),
  };
}

test('the lines of one message become one line, split where the next timestamp stands', async () => {
  const { stream, written, log } = follow();
  stream.end(`${first}\n\tCONTEXT: a\n\tCONTEXT: b\n${second}\n`);
  await log.drain(5000);
  expect(written).toEqual([`PG:${first}\u200B\tCONTEXT: a\u200B\tCONTEXT: b`, `PG:${second}`]);
});

test('a message is written when nothing follows it', async () => {
  const { stream, written, log } = follow();
  stream.write(`${first}\nDETAIL\n`);
  await eventually('a message', () => written.length > 0 || undefined);
  expect(written).toEqual([`PG:${first}\u200BDETAIL`]);
  stream.write('later\n');
  await eventually('the next', () => written.length > 1 || undefined);
  stream.end();
  await log.drain(5000);
});

test('one line of invalid UTF-8 does not end the log', async () => {
  const { stream, written, log } = follow();
  stream.write(Buffer.from([0xff, 0xfe, 0x80, 0x0a]));
  stream.end(`${second}\nunfinished`);
  await log.drain(5000);
  expect(written).toEqual(['PG:\uFFFD\uFFFD\uFFFD', `PG:${second}\u200Bunfinished`]);
});

test('a pipe that somebody else keeps open does not hold up the end', async () => {
  const { stream, written, log } = follow();
  stream.write(`${first}\n`);
  await log.drain(20);
  expect(written).toEqual([`PG:${first}`]);
  expect(stream.destroyed).toBe(true);
});

test('lines without timestamps are not held back without limit', () => {
  let longest = 0;
  const joiner = joinLines(textSink((message) => (longest = Math.max(longest, message.length - 3))));
  for (let at = 0; at < 10_000; at++) joiner.add('x'.repeat(100));
  expect(longest).toBeGreaterThan(maxLineChars / 2);
  expect(longest).toBeLessThanOrEqual(maxLineChars);
});

test('a line without end comes out in pieces', async () => {
  const { stream, written, log } = follow();
  stream.end('y'.repeat(3 * maxLineChars + 5));
  await log.drain(5000);
  expect(written.map((line) => line.length - 3)).toEqual([maxLineChars, maxLineChars, maxLineChars, 5]);
});

test('whatever the bytes and however they are cut, no line is lost', async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 });
  const withoutBreaks = (text: string): string => text.replaceAll(/[\r\n\u200B]/g, '');
  await fc.assert(
    fc.asyncProperty(chunks, async (bytes) => {
      const { stream, written, log } = follow();
      for (const chunk of bytes) stream.write(chunk);
      stream.end();
      await log.drain(5000);
      const sent = withoutBreaks(Buffer.concat(bytes).toString('utf8'));
      expect(withoutBreaks(written.map((line) => line.slice(3)).join(''))).toBe(sent);
    }),
    { numRuns: 200 },
  );
  expect.hasAssertions();
});
