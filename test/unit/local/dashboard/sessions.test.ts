import { expect, test } from 'vitest';
import {
  type Session,
  Sessions,
  cookieName,
  linkMs,
  setCookie,
} from '../../../../src/local/dashboard/sessions.ts';

const cookieOf = (session: Session): string => (setCookie(session).split(';')[0] as string).trim();

const isFound = (sessions: Sessions, session: Session, isUse = true): boolean =>
  sessions.find(session.id, cookieOf(session), isUse) !== null;

function opened(sessions: Sessions): Session {
  const session = sessions.exchange(sessions.link()) as Session;
  expect(isFound(sessions, session)).toBe(true);
  return session;
}

test('a token is for one session: the first that is used, whoever has looked at the link before', () => {
  const sessions = new Sessions();
  const token = sessions.link();
  expect(sessions.exchange(`${token}x`)).toBeNull();
  const [looked, first, second] = [1, 2, 3].map(() => sessions.exchange(token) as Session);
  expect(isFound(sessions, looked as Session, false)).toBe(false);
  expect(first?.isOpen()).toBe(false);
  expect(isFound(sessions, first as Session)).toBe(true);
  expect(first?.isOpen()).toBe(true);
  expect(isFound(sessions, first as Session, false)).toBe(true);
  for (const other of [looked, second]) expect(isFound(sessions, other as Session)).toBe(false);
  expect(sessions.exchange(token)).toBeNull();
});

test('a session that is not used at once is over, and sessions that nobody uses end none that is open', () => {
  let nowMs = 0;
  const sessions = new Sessions(() => nowMs);
  const open = opened(sessions);
  const token = sessions.link();
  const late = sessions.exchange(token) as Session;
  nowMs = 60_000;
  expect(isFound(sessions, late)).toBe(false);
  const all = Array.from({ length: 100 }, () => sessions.exchange(token) as Session);
  expect(isFound(sessions, open)).toBe(true);
  expect(isFound(sessions, all[83] as Session)).toBe(false);
  expect(isFound(sessions, all[99] as Session)).toBe(true);
});

test('a token has an end', () => {
  let nowMs = 0;
  const sessions = new Sessions(() => nowMs);
  const [early, late] = [sessions.link(), sessions.link()];
  nowMs = linkMs - 1;
  expect(sessions.exchange(early)).not.toBeNull();
  nowMs = linkMs;
  expect(sessions.exchange(late)).toBeNull();
});

test('the seventeenth token takes the place of the first', () => {
  const sessions = new Sessions();
  const tokens = Array.from({ length: 17 }, () => sessions.link());
  expect(sessions.exchange(tokens[0] as string)).toBeNull();
  expect(sessions.exchange(tokens[1] as string)).not.toBeNull();
  expect(sessions.exchange(tokens[16] as string)).not.toBeNull();
});

test('a session is its id together with its cookie', () => {
  const sessions = new Sessions();
  const [one, other] = [opened(sessions), opened(sessions)];
  expect(sessions.find(one.id, cookieOf(one))).toBe(one);
  expect(sessions.find(one.id, `a=b; ${cookieOf(other)}; ${cookieOf(one)}`)).toBe(one);
  for (const [id, cookies] of [
    [one.id, undefined],
    [one.id, ''],
    [one.id, cookieOf(other)],
    [one.id, `${cookieName}=`],
    ['', cookieOf(one)],
    [other.id, cookieOf(one)],
  ] as const)
    expect(sessions.find(id, cookies)).toBeNull();
});

test('a session has an end', () => {
  let nowMs = 0;
  const sessions = new Sessions(() => nowMs);
  const session = opened(sessions);
  nowMs = 12 * 3_600_000 - 1;
  expect([isFound(sessions, session), session.isOpen()]).toEqual([true, true]);
  nowMs++;
  expect([isFound(sessions, session), session.isOpen()]).toEqual([false, false]);
});

test('the cookie is for its own path, and for no script and no other site', () => {
  const session = opened(new Sessions());
  expect(setCookie(session)).toMatch(
    /^compute_local_dashboard=[\w-]{43}; Path=\/s\/[\w-]{16}; HttpOnly; SameSite=Strict; Max-Age=43200$/,
  );
});
