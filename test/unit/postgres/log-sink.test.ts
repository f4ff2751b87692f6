import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createLog } from '../../../src/core/log.ts';
import { jsonSink } from '../../../src/postgres/log-sink.ts';
import { followPostmasterLog } from '../../../src/postgres/postmaster-log.ts';
import { eventually } from '../../support/program.ts';

type Line = Record<string, unknown>;

function follow() {
  const stream = new PassThrough();
  const written: string[] = [];
  const write = (line: string): unknown => written.push(line);
  const log = followPostmasterLog(stream, { sink: jsonSink(write), pid: 42 });
  const lines = (): Line[] => written.map((line) => JSON.parse(line) as Line);
  return { stream, written, write, log, lines };
}

async function linesOf(output: string): Promise<Line[]> {
  const { stream, log, lines } = follow();
  stream.end(output);
  await log.drain(5000);
  return lines();
}

const at = '2025-08-01 10:00:00.001 UTC';

test.each<[string, string, Line]>([
  ['the default prefix', `${at} [7] LOG:  up`, { level: 'info', pid: 7, severity: 'LOG', msg: 'up' }],
  ['no prefix', 'ERROR:  no', { level: 'error', pid: 42, severity: 'ERROR', msg: 'no' }],
  [
    'user and database',
    `${at} [7] u@d FATAL:  out`,
    { level: 'error', pid: 7, severity: 'FATAL', msg: 'out' },
  ],
  ['a line number', `${at} [7-1] WARNING:  x`, { level: 'warn', pid: 7, msg: 'x' }],
  ['a bare pid', `${at} 4711 PANIC:  x`, { level: 'fatal', pid: 4711, msg: 'x' }],
  ['a pid and a colon', `${at} UTC:10.0.0.1(5432):u@d:4711:LOG:  x`, { pid: 4711, msg: 'x' }],
  ['pid=', 'pid=8,db=a DEBUG2:  x', { level: 'debug', pid: 8, msg: 'x' }],
  ['a quoted severity in the text', `${at} [7] LOG:  ERROR:  x`, { level: 'info', msg: 'ERROR:  x' }],
  ['another language', `${at} [7] FEHLER:  x`, { level: 'info', pid: 7, severity: 'FEHLER', msg: 'x' }],
  ['what an archive_command prints', 'cp: no such file', { level: 'info', pid: 42, msg: 'cp: no such file' }],
  ['JSON of another program', '{"level":30}', { level: 'info', pid: 42, msg: '{"level":30}' }],
  ['nothing', '', { level: 'info', pid: 42, msg: '' }],
])('a line of PostgreSQL becomes an object with level and pid: %s', async (_, line, expected) => {
  const [found, ...more] = await linesOf(`${line}\n`);
  expect(found).toMatchObject({ source: 'postgres', time: expect.any(String) as string, ...expected });
  expect(more).toEqual([]);
});

test('a message of several lines is one object, and what belongs to it has its level', async () => {
  const lines = await linesOf(
    `${at} [7] ERROR:  a\n\tb\n${at} [7] DETAIL:  c\n${at} [7] STATEMENT:  select\n\t1\n${at} [8] STATEMENT:  d\n${at} [7] LOG:  e\n`,
  );
  expect(lines.map(({ level, pid, msg }) => [level, pid, msg])).toEqual([
    ['error', 7, 'a\nb'],
    ['error', 7, 'c'],
    ['error', 7, 'select\n1'],
    ['info', 8, 'd'],
    ['info', 7, 'e'],
  ]);
});

test('a line of ours does not come before what PostgreSQL wrote earlier, and times never go back', async () => {
  const { stream, write, log, lines } = follow();
  const own = createLog({ format: 'json', level: 'info' }, write);
  const expected: string[] = [];
  for (let round = 0; round < 50; round++) {
    stream.write(`${at} [7] LOG:  theirs ${round}\n`);
    // Read, but held back: the message might go on.
    await new Promise((resolve) => setImmediate(resolve));
    own.info(`ours ${round}`);
    expected.push(`theirs ${round}`, `ours ${round}`);
  }
  stream.end();
  await log.drain(5000);
  expect(lines().map(({ msg }) => msg)).toEqual(expected);
  const times = lines().map(({ time }) => time as string);
  expect(times).toEqual(times.toSorted());
});

test('a line of ours does not cut a line of PostgreSQL that has arrived in half', async () => {
  const { stream, write, log, lines } = follow();
  const own = createLog({ format: 'json', level: 'info' }, write);
  // At once after the first half was read: no silence that would end the message.
  stream.once('data', () => {
    own.info('ours');
    stream.end('ond\n');
  });
  stream.write(`${at} [7] ERROR:  first\n\tsec`);
  await log.drain(5000);
  expect(lines().map(({ msg }) => msg)).toEqual(['ours', 'first\nsecond']);
  const times = lines().map(({ time }) => time as string);
  expect(times).toEqual(times.toSorted());
});

test('a message is written when nothing follows it', async () => {
  const { stream, log, lines } = follow();
  stream.write(`${at} [7] LOG:  alone\n`);
  await eventually('the message', () => lines().length > 0 || undefined);
  stream.end();
  await log.drain(5000);
  expect(lines()).toHaveLength(1);
});

test('whatever PostgreSQL prints, each line is one object', async () => {
  const odd = [
    '\u0000\u001b[31m',
    '"',
    '\\',
    '\u2028',
    '\ud800',
    '\ufffd',
    '\r',
    '\u200B',
    'x'.repeat(200_000),
  ];
  for (const text of odd) {
    const lines = await linesOf(`${at} [7] LOG:  ${text}\n${at} [7] LOG:  end\n`);
    expect(lines.at(-1)).toMatchObject({ msg: 'end', pid: 7 });
    for (const { level, pid } of lines) expect([typeof level, typeof pid]).toEqual(['string', 'number']);
  }
});

test('messages do not run together when log_line_prefix begins with a blank', async () => {
  const lines = await linesOf(' 7 ERROR:  first\n\tsecond\n 8 LOG:  other\n');
  expect(lines.map(({ pid, msg }) => [pid, msg])).toEqual([
    [7, 'first\nsecond'],
    [8, 'other'],
  ]);
});
