import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Log, type LogFormat, createLog, droppedLine } from '../../../src/core/log.ts';

const lines = (format: LogFormat, level: string, say: (log: Log) => void): string[] => {
  const said: string[] = [];
  say(createLog({ format, level }, (line) => said.push(line)));
  return said.map((line) => line.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/, 'NOW'));
};

test('a log line for people stays one line', () => {
  const said = lines('text', 'info', (log) => log.warn({ step: 'x', at: [1], none: undefined }, 'a\nb'));
  expect(said).toEqual(['NOW  WARN a\\nb step=x at=[1]']);
});

test('a line of JSON has level, time, what belongs to the logger, the fields and the message, in this order', () => {
  const said = lines('json', 'info', (log) => log.child({ request_id: 'r' }).error({ a: 1 }, 'm'));
  expect(said).toEqual(['{"level":"error","time":"NOW","request_id":"r","a":1,"msg":"m"}']);
});

test('the line that says how many lines are missing is not younger than the line after it', () => {
  for (const format of ['text', 'json'] as const) {
    const options = { format, level: 'info' };
    let next = '';
    createLog(options, (line) => (next = line)).info('next');
    const old = next.replace(/20\d\d-/, '2001-');
    const [time] = /2001-[\w:.-]+Z/.exec(old) ?? [''];
    const line = droppedLine(options, 7, old);
    expect(line).toContain(time);
    expect(line).not.toContain(String(new Date().getFullYear()));
    expect(line).toContain('7 log lines were dropped');
    expect(droppedLine(options, 7, undefined)).toContain(String(new Date().getFullYear()));
  }
});

test('lines below the level are not written, and none at silent', () => {
  const say = (log: Log): void => {
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level](level);
  };
  const told = (level: string): string[] => lines('text', level, say).map((line) => line.slice(3));
  expect(told('warn')).toEqual(['  WARN warn', ' ERROR error', ' FATAL fatal']);
  expect(told('trace')).toHaveLength(6);
  expect(told('silent')).toEqual([]);
});

/** The text that a line of JSON stands for. */
function textOf(json: string): string {
  const { level, time, msg, ...rest } = JSON.parse(json) as { level: string; time: string; msg?: string };
  const show = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${show(value)}`);
  return `${time} ${level.toUpperCase().padStart(5)} ${(msg ?? '').replaceAll('\n', '\\n')}${fields.join('')}`;
}

test('both formats say the same, whatever is said', () => {
  const failure = Object.assign(new Error('no\nluck', { cause: new Error('why') }), { code: 'X' });
  const says: ((log: Log) => void)[] = [
    (log) => log.info('m %s', 'x'),
    (log) => log.error(failure),
    (log) => log.error({ err: failure }, 'failed'),
    (log) => log.error({ err: failure }),
    (log) =>
      log
        .child({ id: 1, a: 'child' })
        .child({ b: { c: null } })
        .debug({ a: 'line' }, 'm'),
    (log) => log.info({ a: undefined, f: () => 1, n: Number.NaN }, 'm'),
  ];
  for (const say of says) {
    expect(lines('text', 'debug', say)).toEqual(lines('json', 'debug', say).map(textOf));
  }
  const names = fc.string({ minLength: 1 }).filter((name) => !['level', 'time', 'msg', 'err'].includes(name));
  fc.assert(
    fc.property(fc.dictionary(names, fc.jsonValue()), fc.string(), (fields, message) => {
      const say = (log: Log): void => log.child({ request_id: 'r' }).info(fields, message);
      expect(lines('text', 'info', say)).toEqual(lines('json', 'info', say).map(textOf));
    }),
  );
});
