import { expect, test } from 'vitest';
import {
  type Holder,
  type Seen,
  heldByActivity,
  heldByClients,
  heldInPostgres,
} from '../../../../src/local/front/holders.ts';
import type { ObservedSession } from '../../../../src/local/front/observe.ts';

const limits = { suspendAfterMs: 1000, hardAfterMs: Infinity };
const unused = { who: 'ann', idleMs: 1000 };
const client = (changes: Partial<Seen> = {}): Seen => ({
  pid: 7,
  who: 'role "ann"',
  ignored: false,
  busy: false,
  inTransaction: false,
  idleMs: 5000,
  loses: null,
  ...changes,
});
const session = (changes: Partial<ObservedSession> = {}): ObservedSession => ({
  pid: 7,
  role: 'ann',
  database: 'app',
  application: '',
  walsender: false,
  transactionMs: null,
  idleMs: 5000,
  ...changes,
});
const nothing = { sessions: [], backups: [], subscriptions: 0, slots: [], stored: true };
const kinds = (holders: readonly Holder[]): string[] => holders.map(({ kind }) => kind);
const inPostgres = (
  observed: Partial<Parameters<typeof heldInPostgres>[0]>,
  hardAfterMs = Infinity,
  known: readonly number[] = [],
): string[] =>
  kinds(
    heldInPostgres({ ...nothing, ...observed }, new Set(known), ({ role }) => role === 'monitor', {
      ...limits,
      hardAfterMs,
    }),
  );

test.each([
  ['nobody', [], []],
  ['an idle client', [client()], []],
  ['a transaction', [client({ inTransaction: true, busy: true })], ['transaction']],
  ['a statement', [client({ busy: true })], ['statement']],
  ['one that would lose nothing', [client({ loses: [] })], []],
  ['one that would lose something', [client({ loses: ['LISTEN'] })], ['state']],
  ['one that is ignored, whatever it does', [client({ ignored: true, inTransaction: true })], []],
] as const)('%s counts as use as it should', (_, seen, held) => {
  expect(kinds(heldByClients(seen, unused, limits))).toEqual(held);
});

test('a client that was served a moment ago keeps it awake, and is named', () => {
  expect(heldByClients([], { who: 'ann', idleMs: 999 }, limits)).toEqual([
    { kind: 'use', who: 'ann', sinceMs: 999 },
  ]);
  expect(heldByClients([], { who: '', idleMs: 1 }, limits)).toMatchObject([{ who: 'its start' }]);
});

test('after the hard limit a session with state does not keep it awake, and a transaction does', () => {
  const hard = { ...limits, hardAfterMs: 5000 };
  expect(heldByClients([client({ loses: ['LISTEN'] })], unused, hard)).toEqual([]);
  expect(kinds(heldByClients([client({ inTransaction: true })], unused, hard))).toEqual(['transaction']);
});

test('what a client would lose is named with it', () => {
  const [held] = heldByClients([client({ loses: ['LISTEN', 'cursors'] })], unused, limits);
  expect(held).toMatchObject({ who: 'role "ann": LISTEN, cursors' });
});

test('sessions that the front does not know keep it awake, since they would end', () => {
  expect(inPostgres({ sessions: [session()] })).toEqual(['socket']);
  expect(inPostgres({ sessions: [session()] }, 5000)).toEqual([]);
  expect(inPostgres({ sessions: [session({ transactionMs: 9000 })] }, 5000)).toEqual(['transaction']);
  expect(inPostgres({ sessions: [session()] }, Infinity, [7])).toEqual([]);
  expect(inPostgres({ sessions: [session({ role: 'monitor', transactionMs: 1 })] })).toEqual([]);
});

test('WAL senders, base backups and subscriptions keep it awake', () => {
  const backups = [{ pid: 8, application: 'pg_basebackup' }];
  expect(inPostgres({ sessions: [session({ walsender: true })] }, 1)).toEqual(['walsender']);
  // Also one of a client of the front.
  expect(inPostgres({ sessions: [session({ walsender: true })] }, 1, [7])).toEqual(['walsender']);
  expect(inPostgres({ backups, subscriptions: 2, slots: ['s'] })).toEqual(['backup', 'subscription', 'slot']);
  expect(inPostgres({ stored: false })).toEqual(['storage']);
});

test.each([
  ['none', null, 60_000, []],
  ['long ago', 1000, 60_000, []],
  ['of somebody whom the front has not seen', 500, 60_000, ['activity']],
  ['that the front itself, or a client of it, has left in the statistics', 500, 12_500, []],
] as const)('activity that compute_ctl has seen counts: %s', (_, lastMs, seenMs, held) => {
  expect(kinds(heldByActivity(lastMs, seenMs, limits))).toEqual(held);
});
