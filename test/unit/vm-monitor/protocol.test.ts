import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  InvalidMessage,
  OwnIds,
  formatMessage,
  negotiate,
  parseAgentMessage,
} from '../../../src/vm-monitor/protocol.ts';

test.each(['{"min":1,"max":1}', '{"min":0,"max":1}\n', '{"max":7,"min":1}', '{"min":1,"max":255,"more":[]}'])(
  '%s is answered with version 1',
  (text) => expect(negotiate(text)).toEqual({ version: 1 }),
);

test.each([
  ['{"min":0,"max":0}', 'v0.0 to v0.0'],
  ['{"min":2,"max":3}', 'v2.0 to v3.0'],
  ['{"min":255,"max":255}', 'v255.0 to v255.0'],
])('%s is answered with an error that names both ranges', (text, theirs) => {
  const answer = negotiate(text);
  expect(answer).toHaveProperty('error', expect.stringContaining(theirs));
  expect(answer).toHaveProperty('error', expect.stringContaining('v1.0 to v1.0'));
});

test.each([
  '{"min":1,"max":0}',
  '{"min":3,"max":1}',
  'hello',
  '',
  '{"min":1}',
  '{"min":1,"max":256}',
  '{"min":-1,"max":1}',
  '{"min":1.5,"max":2}',
  '{"min":"1","max":"1"}',
  '[1,1]',
  'null',
])('%s gets no answer', (text) => expect(negotiate(text)).toHaveProperty('unreadable'));

test('the messages of the agent are read in any order of keys, with unknown keys and a newline', () => {
  expect(
    parseAgentMessage(
      '{"content":{"granted":{"cpu":0.5,"mem":2147483648}},"type":"UpscaleNotification","id":2}',
    ),
  ).toEqual({ type: 'UpscaleNotification', id: 2, memBytes: 2_147_483_648 });
  expect(
    parseAgentMessage(
      '{"id":4,"type":"DownscaleRequest","new":1,"content":{"target":{"mem":1073741824,"cpu":1}}}\n',
    ),
  ).toEqual({ type: 'DownscaleRequest', id: 4, memBytes: 1_073_741_824 });
  expect(parseAgentMessage('{"content":{},"type":"HealthCheck","id":6}')).toEqual({
    type: 'HealthCheck',
    id: 6,
  });
  expect(parseAgentMessage('{"content":{"error":"why"},"type":"InvalidMessage","id":3}')).toEqual({
    type: 'InvalidMessage',
    id: 3,
    error: 'why',
  });
});

function failure(text: string): unknown {
  try {
    parseAgentMessage(text);
    return null;
  } catch (error) {
    return error;
  }
}

const target = (mem: string, cpu = '1') =>
  `{"content":{"target":{"cpu":${cpu},"mem":${mem}}},"type":"DownscaleRequest","id":8}`;

test.each([
  ['no json', 0],
  ['null', 0],
  ['[]', 0],
  ['{"content":{},"type":"HealthCheck"}', 0],
  ['{"content":{},"type":"HealthCheck","id":-2}', 0],
  ['{"content":{},"type":"HealthCheck","id":1.5}', 0],
  ['{"content":{},"type":"HealthCheck","id":"8"}', 0],
  ['{"type":"HealthCheck","id":8}', 8],
  ['{"content":[],"type":"HealthCheck","id":8}', 8],
  ['{"content":{},"type":"Reboot","id":8}', 8],
  ['{"content":{},"type":"toString","id":8}', 8],
  ['{"content":{},"id":8}', 8],
  ['{"content":{},"type":"DownscaleRequest","id":8}', 8],
  ['{"content":{},"type":"InternalError","id":8}', 8],
  [target('1.5'), 8],
  [target('-1'), 8],
  [target('1e300'), 8],
  [target('"5"'), 8],
  [target('5', '"1"'), 8],
])('%s is invalid, and its id is %i', (text, id) => {
  const thrown = failure(text);
  expect(thrown).toBeInstanceOf(InvalidMessage);
  expect(thrown).toHaveProperty('id', id);
});

test.each([
  ['no json', 'not JSON'],
  ['7', 'not an object'],
  ['{"content":{},"id":8}', 'no type'],
  ['{"content":{},"type":"Reboot","id":8}', 'unknown type "Reboot"'],
  ['{"content":{},"type":"HealthCheck","id":1.5}', 'id must be a whole number'],
  ['{"type":"HealthCheck","id":8}', 'content is missing'],
  ['{"content":[],"type":"HealthCheck","id":8}', 'content must be an object'],
  [target('5', '"1"'), 'content.target.cpu must be a number'],
  [target('1.5'), 'content.target.mem must be a whole number of bytes'],
])('%s is told: %s', (text, why) => expect(failure(text)).toHaveProperty('message', why));

test('whatever is sent is understood or refused as invalid, nothing else', () =>
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((v) => JSON.stringify(v)),
      ),
      (text) => {
        expect(() => negotiate(text)).not.toThrow();
        const thrown = failure(text);
        expect(thrown === null || thrown instanceof InvalidMessage).toBe(true);
      },
    ),
  ));

test('the messages of the monitor have the exact spelling of the protocol', () => {
  expect(formatMessage({ type: 'UpscaleConfirmation', id: 2 })).toBe('{"type":"UpscaleConfirmation","id":2}');
  expect(formatMessage({ type: 'DownscaleResult', Ok: true, Status: 's', id: 4 })).toBe(
    '{"type":"DownscaleResult","Ok":true,"Status":"s","id":4}',
  );
  expect(formatMessage({ type: 'InternalError', error: 'failed to downscale', id: 4 })).toBe(
    '{"type":"InternalError","error":"failed to downscale","id":4}',
  );
});

test('no text makes a message too long for the agent', () => {
  const text = '\u0001'.repeat(100_000);
  for (const message of [
    formatMessage({ type: 'InternalError', error: text, id: 4 }),
    formatMessage({ type: 'DownscaleResult', Ok: false, Status: text, id: 4 }),
  ])
    expect(Buffer.byteLength(message)).toBeLessThan(32_768);
});

test('own ids are 3, 5, 7', () => {
  const ids = new OwnIds();
  expect([ids.next(), ids.next(), ids.next()]).toEqual([3, 5, 7]);
});
