import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Conversation } from '../../../../src/local/front/conversation.ts';
import { bind, describe as describeStatement, execute, parse } from '../../../../src/local/front/extended.ts';
import { FrameTrack } from '../../../../src/local/front/frame-track.ts';
import { query, sync } from '../../../../src/local/front/messages.ts';
import { commandComplete, message, parameterStatus } from '../../../../src/wire/messages.ts';

const ready = (status = 'I'): Buffer => message('Z', Buffer.from(status));

function loggedIn(): Conversation {
  const talk = new Conversation();
  talk.fromServer.push(ready());
  return talk;
}

/** A statement with its answer. */
function runs(talk: Conversation, text: string, tag: string, status = 'I'): void {
  talk.fromClient.push(query(text));
  talk.fromServer.push(Buffer.concat([commandComplete(tag), ready(status)]));
}

test('a session is idle between two statements, and only there', () => {
  const talk = new Conversation();
  expect(talk.idle).toBe(false);
  talk.fromServer.push(ready());
  expect(talk.idle).toBe(true);
  talk.fromClient.push(query('select 1'));
  expect(talk.idle).toBe(false);
  talk.fromServer.push(ready('T'));
  expect([talk.idle, talk.inTransaction]).toEqual([false, true]);
  talk.fromClient.push(query('commit'));
  talk.fromServer.push(ready());
  expect(talk.idle).toBe(true);
});

test('messages of the extended protocol that wait for a Sync are under way, and each Sync is answered once', () => {
  const talk = loggedIn();
  talk.fromClient.push(parse('', 'select 1'));
  expect(talk.idle).toBe(false);
  talk.fromClient.push(Buffer.concat([bind('', []), execute(), sync(), sync()]));
  talk.fromServer.push(ready());
  expect(talk.idle).toBe(false);
  talk.fromServer.push(ready());
  expect(talk.idle).toBe(true);
});

test('a Sync that Postgres reads while it takes the data of a COPY is not answered', () => {
  const talk = loggedIn();
  const [copyIn, data, done] = [
    message('G', Buffer.alloc(3)),
    message('d', Buffer.from('1\n')),
    message('c'),
  ];
  talk.fromClient.push(Buffer.concat([parse('', 'copy t from stdin'), bind('', []), execute(), sync()]));
  talk.fromServer.push(copyIn);
  talk.fromClient.push(Buffer.concat([data, done, sync()]));
  expect(talk.idle).toBe(false);
  talk.fromServer.push(Buffer.concat([commandComplete('COPY 1'), ready()]));
  expect(talk.idle).toBe(true);
  // By the simple protocol there is none.
  talk.fromClient.push(query('copy t from stdin'));
  talk.fromServer.push(copyIn);
  talk.fromClient.push(Buffer.concat([data, done]));
  expect(talk.idle).toBe(false);
  talk.fromServer.push(Buffer.concat([commandComplete('COPY 1'), ready()]));
  expect(talk.idle).toBe(true);
});

test('half a message is under way, in either direction', () => {
  const talk = loggedIn();
  talk.fromClient.push(Buffer.from('Q'));
  expect(talk.idle).toBe(false);
  const other = loggedIn();
  other.fromServer.push(Buffer.from('N\0\0'));
  expect(other.idle).toBe(false);
});

test.each([
  ["select set_config('a.b', '1', false)", 'SELECT 1', ['settings']],
  ['set a.b = 1', 'SET', ['settings']],
  ["set work_mem = '1MB'", 'SET', []],
  ['do $$ begin end $$', 'DO', ['settings']],
  ['call p()', 'CALL', ['settings']],
  ["load 'plpgsql'", 'LOAD', ['library']],
  ["select PG_Backup_Start('x')", 'SELECT 1', ['backup']],
  ["select dblink_connect('x', '')", 'SELECT 1', ['connections']],
  ['select a.b from a', 'SELECT 1', []],
])('%s is noticed where it leaves something that cannot be asked for', (text, tag, hidden) => {
  const talk = loggedIn();
  runs(talk, text, tag);
  expect([...talk.hidden]).toEqual(hidden);
});

test('a SET of a name with a dot is noticed when it was prepared long before it is executed', () => {
  const talk = loggedIn();
  talk.fromClient.push(Buffer.concat([parse('s', "set app.tenant = '7'"), sync()]));
  talk.fromServer.push(ready());
  expect(talk.hidden.size).toBe(0);
  talk.fromClient.push(Buffer.concat([bind('s', []), execute(), sync()]));
  talk.fromServer.push(Buffer.concat([commandComplete('SET'), ready()]));
  expect([...talk.hidden]).toEqual(['settings']);
});

test.each([
  ['set session "my app".tenant = 1', true],
  ['set "app.tenant" = 1', true],
  ['/* why */ set \u00e9t\u00e9.x to 1', true],
  ['update t set x = t.y + 1.5', false],
  ["set search_path to 'a.b'", false],
])('a prepared %s is one that may leave a parameter of an application: %s', (text, isOwn) => {
  const talk = loggedIn();
  talk.fromClient.push(Buffer.concat([parse('s', text), sync()]));
  talk.fromServer.push(ready());
  talk.fromClient.push(Buffer.concat([bind('s', []), execute(), sync()]));
  talk.fromServer.push(Buffer.concat([commandComplete('SET'), ready()]));
  expect(talk.hidden.has('settings')).toBe(isOwn);
});

test('DISCARD ALL does not forget what was sent with it, and may come after it', () => {
  const talk = loggedIn();
  talk.fromClient.push(Buffer.concat([query('discard all'), query("select set_config('a.b', '1', false)")]));
  talk.fromServer.push(Buffer.concat([commandComplete('DISCARD ALL'), ready()]));
  talk.fromServer.push(Buffer.concat([commandComplete('SELECT 1'), ready()]));
  expect([...talk.hidden]).toEqual(['settings']);
  runs(talk, 'discard all', 'DISCARD ALL');
  expect(talk.hidden.size).toBe(0);
});

test('an unnamed statement that Postgres may have refused is not kept', () => {
  const talk = loggedIn();
  talk.fromClient.push(Buffer.concat([parse('', 'select 1'), sync()]));
  talk.fromServer.push(ready());
  expect(talk.statements.has('')).toBe(true);
  talk.fromClient.push(Buffer.concat([parse('', 'selekt 2'), sync()]));
  talk.fromServer.push(Buffer.concat([message('E', Buffer.from('\0')), ready()]));
  expect(talk.statements.has('')).toBe(false);
});

test('a dot in an earlier statement says nothing about a later SET, and DISCARD ALL forgets', () => {
  const talk = loggedIn();
  runs(talk, 'select a.b from a', 'SELECT 1');
  runs(talk, 'set work_mem = 1', 'SET');
  expect(talk.hidden.size).toBe(0);
  runs(talk, 'set a.b = 1', 'SET');
  expect(talk.hidden.size).toBe(1);
  runs(talk, 'discard all', 'DISCARD ALL');
  expect(talk.hidden.size).toBe(0);
});

test('a word is found however the bytes arrive', () => {
  const bytes = query("select set_config('a.b', '1', false)");
  for (let cut = 1; cut < bytes.length; cut++) {
    const talk = loggedIn();
    talk.fromClient.push(bytes.subarray(0, cut));
    talk.fromClient.push(bytes.subarray(cut));
    expect([...talk.hidden]).toEqual(['settings']);
  }
});

test('the statements that a client may bind are known: a query ends the unnamed one, Close a named one', () => {
  const talk = loggedIn();
  const names = (): string[] => [...talk.statements.keys()];
  talk.fromClient.push(Buffer.concat([parse('', 'select 1'), parse('a', 'select 2'), sync()]));
  talk.fromServer.push(ready());
  expect(names()).toEqual(['', 'a']);
  talk.fromClient.push(query('select 3'));
  expect(names()).toEqual(['a']);
  talk.fromClient.push(message('C', Buffer.from('Sa\0')));
  expect(names()).toEqual([]);
});

test('statements that are too much to be kept count as state', () => {
  const one = loggedIn();
  one.fromClient.push(parse('a', 'x'.repeat(70_000)));
  expect([...one.hidden]).toEqual(['statements']);
  const many = loggedIn();
  for (let each = 0; each < 10; each++) many.fromClient.push(parse(`s${each}`, 'x'.repeat(50_000)));
  expect([...many.hidden]).toEqual(['statements']);
});

test('the last value of a parameter is known', () => {
  const talk = loggedIn();
  talk.fromServer.push(parameterStatus('application_name', 'a'));
  talk.fromServer.push(parameterStatus('application_name', 'b'));
  expect(talk.parameters.get('application_name')).toBe('b');
});

test('a length that cannot be ends what is known of a stream, and nothing else', () => {
  const talk = loggedIn();
  talk.fromClient.push(Buffer.from([0x51, 0, 0, 0, 1, 0x51]));
  talk.fromClient.push(query('select 1'));
  expect(talk.idle).toBe(false);
});

test('what is not heeded passes by, and a body is whole, however both are cut', () => {
  const row = message('D', Buffer.alloc(300));
  const all = Buffer.concat([row, commandComplete('SET'), row, row, parameterStatus('a', 'b'), ready(), row]);
  for (let cut = 0; cut <= all.length; cut++) {
    const seen: string[] = [];
    const track = new FrameTrack({
      heeds: 'CSZ',
      wants: () => 'body',
      body: (type, bytes) => void seen.push(`${type}${bytes.toString('latin1')}`),
    });
    track.push(all.subarray(0, cut));
    track.push(all.subarray(cut));
    expect(seen).toEqual(['CSET\0', 'Sa\0b\0', 'ZI']);
    expect(track.atBoundary).toBe(true);
  }
});

test('any bytes in any pieces are taken without an error', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 30 });
  fc.assert(
    fc.property(chunks, chunks, (client, server) => {
      const talk = new Conversation();
      for (const bytes of client) talk.fromClient.push(Buffer.from(bytes));
      for (const bytes of server) talk.fromServer.push(Buffer.from(bytes));
    }),
  );
});

test('messages are told apart the same way, however they are cut', () => {
  const all = Buffer.concat([parse('', 'select 1'), describeStatement(''), sync(), query('x'), message('X')]);
  const seen = (cuts: readonly number[]): string => {
    let types = '';
    const track = new FrameTrack({ wants: (type) => ((types += type), 'nothing') });
    const ends = [...cuts.map((cut) => cut % all.length), all.length].toSorted((a, b) => a - b);
    let from = 0;
    for (const end of ends) {
      track.push(all.subarray(from, end));
      from = end;
    }
    return `${types}${track.atBoundary}`;
  };
  fc.assert(fc.property(fc.array(fc.nat(1000)), (cuts) => seen(cuts) === 'PDSQXtrue'));
});
