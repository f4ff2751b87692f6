import { expect, test } from 'vitest';
import { bodyLimitBytes } from '../../../src/http/extract.ts';
import { postJson, withServer } from './support.ts';

const opening = (text: string): string => text.repeat(Math.floor(bodyLimitBytes / text.length));
const nested = (open: string, close: string, depth: number): string =>
  open.repeat(depth) + '0' + close.repeat(depth);

test.each([
  ['lists that are never closed', opening('[')],
  ['objects that are never closed', opening('{"a":')],
  ['lists and objects', opening('[{"a":')],
  ['a million lists', nested('[', ']', 1_000_000)],
  ['300000 objects', nested('{"a":', '}', 300_000)],
  ['fractions in deep objects', nested('{"a":[1.5,', ']}', 100_000)],
  ['129 lists', nested('[', ']', 129)],
])('a body nested too deep is 400, not a stack overflow: %s', (_, body) =>
  withServer({}, async ({ send, lines }) => {
    const reply = await send('POST', '/configure', postJson(body));
    expect(reply.status).toBe(400);
    expect(reply.body).not.toContain('UTF-8');
    expect(lines.join('')).not.toContain('RangeError');
    expect((await send('GET', '/status')).status).toBe(200);
  }),
);

test('a body nested 100 levels deep is read', () =>
  withServer({}, async ({ send }) => {
    const reply = await send('POST', '/configure', postJson(`{"other":${nested('[', ']', 100)}}`));
    expect(reply.status).toBe(422);
  }));
