import type { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { Hub } from '../../../../src/local/dashboard/hub.ts';
import { Ring } from '../../../../src/local/dashboard/ring.ts';

const full = { model: null, samples: [], logs: {} };
const log = (text: string) => ({ name: 'main', lines: [{ text, isRequest: false }] });

test('a client that comes back gets what it has missed', () => {
  const ring = new Ring({ messages: 10, bytes: 10_000 });
  ring.add('log', log('one'));
  const seen = ring.lastId;
  expect(ring.since(seen)).toEqual([]);
  const [two, three] = [ring.add('log', log('two')), ring.add('log', log('three'))];
  expect(ring.since(seen)).toEqual([two, three]);
  expect(two).toMatch(/^id: [0-9a-f]{12}-2\nevent: log\ndata: \{.*two.*\}\n\n$/);
});

test('where some are missing, or the id is not one of this process, everything is sent again', () => {
  const ring = new Ring({ messages: 2, bytes: 10_000 });
  const first = ring.lastId;
  for (const text of ['one', 'two', 'three']) ring.add('log', log(text));
  expect(ring.since(first)).toBeNull();
  expect(ring.since(first.replace(/-0$/, '-1'))).toHaveLength(2);
  for (const id of ['', 'x', first.replace(/-0$/, '-4'), first.replace(/-0$/, '-'), `0${first.slice(1)}x-1`])
    expect(ring.since(id)).toBeNull();
});

test('the ring has a limit in bytes, too', () => {
  const ring = new Ring({ messages: 100, bytes: 1000 });
  const first = ring.lastId;
  for (let each = 0; each < 5; each++) ring.add('log', log('x'.repeat(300)));
  expect(ring.since(first)).toBeNull();
  expect(ring.since(first.replace(/-0$/, '-3'))).toHaveLength(2);
  ring.add('log', log('x'.repeat(2000)));
  expect(ring.since(ring.lastId)).toEqual([]);
});

const viewer = () => ({ isOpen: () => true });

function openHub(): { hub: Hub; sizes: number[]; open: (lastId?: string) => Readable | null } {
  const sizes: number[] = [];
  const hub: Hub = new Hub({ full: () => full, changed: () => sizes.push(hub.size) });
  return { hub, sizes, open: (lastId) => hub.open(viewer(), lastId) };
}

const textOf = (client: Readable): string => (client.read() as string | null) ?? '';

test('a client gets everything first, then what is new, and another one the same', () => {
  const { hub, open } = openHub();
  const one = open() as Readable;
  hub.publish('log', log('news'));
  const first = textOf(one);
  expect(first).toContain('event: full');
  expect(first).toContain('news');
  const id = /id: (\S+)\nevent: log/.exec(first)?.[1] as string;
  hub.publish('log', log('later'));
  const again = textOf(open(id) as Readable);
  expect(again).not.toContain('event: full');
  expect(again).toContain('later');
  expect(again).not.toContain('news');
});

test('a ninth client is refused until another one has gone', async () => {
  const { sizes, open } = openHub();
  const clients = Array.from({ length: 8 }, () => open() as Readable);
  expect(open()).toBeNull();
  clients[0]?.destroy();
  await expect.poll(() => sizes.at(-1)).toBe(7);
  expect(open()).not.toBeNull();
  expect(sizes).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 7, 8]);
});

test('one browser has five pages at most: it needs a connection for what is done', () => {
  const { hub } = openHub();
  const [one, other] = [viewer(), viewer()];
  for (let each = 0; each < 5; each++) expect(hub.open(one, undefined)).not.toBeNull();
  expect(hub.open(one, undefined)).toBeNull();
  expect(hub.open(other, undefined)).not.toBeNull();
});

test('a stream outlived its session: it ends with it, and nothing more is sent', async () => {
  const { hub, sizes, open } = openHub();
  let isOpen = true;
  const [client, other] = [hub.open({ isOpen: () => isOpen }, undefined) as Readable, open() as Readable];
  hub.publish('log', log('before'));
  isOpen = false;
  hub.publish('log', log('after'));
  hub.beat();
  let text = '';
  for await (const chunk of client) text += String(chunk);
  expect(text).toContain('before');
  expect(text).not.toContain('after');
  expect(textOf(other)).toContain('after');
  await expect.poll(() => sizes.at(-1)).toBe(1);
});

test('a client that does not take what it is sent is dropped, and the others are not', async () => {
  const { hub, open } = openHub();
  const [slow, quick] = [open() as Readable, open() as Readable];
  for (let each = 0; each < 30; each++) {
    hub.publish('log', log('x'.repeat(100_000)));
    textOf(quick);
  }
  await expect.poll(() => hub.size).toBe(1);
  expect(slow.destroyed).toBe(true);
  expect(quick.destroyed).toBe(false);
});

test('at the end, every client gets the reason and the end of its answer', async () => {
  const { hub, open } = openHub();
  const client = open() as Readable;
  hub.end({ why: 'over', how: 'compute-local up' });
  let text = '';
  for await (const chunk of client) text += String(chunk);
  expect(text).toContain('event: ended\ndata: {"why":"over","how":"compute-local up"}');
  expect(hub.size).toBe(0);
});
