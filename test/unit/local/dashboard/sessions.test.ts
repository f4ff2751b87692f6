import { expect, test } from 'vitest';
import {
  type Session,
  Sessions,
  cookieName,
  linkMs,
  setCookie,
} from '../../../../src/local/dashboard/sessions.ts';

const cookieOf = (session: Session): string => (setCookie(session).split(';')[0] as string).trim();

function opened(sessions: Sessions): Session {
  const session = sessions.exchange(sessions.link());
  expect(session).not.toBeNull();
  return session as Session;
}

test('a token is exchanged once', () => {
  const sessions = new Sessions();
  const token = sessions.link();
  expect(sessions.exchange(`${token}x`)).toBeNull();
  expect(sessions.exchange(token)).not.toBeNull();
  expect(sessions.exchange(token)).toBeNull();
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
  expect(sessions.isOpen(one.id, cookieOf(one))).toBe(true);
  expect(sessions.isOpen(one.id, `a=b; ${cookieOf(other)}; ${cookieOf(one)}`)).toBe(true);
  for (const [id, cookies] of [
    [one.id, undefined],
    [one.id, ''],
    [one.id, cookieOf(other)],
    [one.id, `${cookieName}=`],
    ['', cookieOf(one)],
    [other.id, cookieOf(one)],
  ] as const)
    expect(sessions.isOpen(id, cookies)).toBe(false);
});

test('a session has an end', () => {
  let nowMs = 0;
  const sessions = new Sessions(() => nowMs);
  const session = opened(sessions);
  nowMs = 12 * 3_600_000 - 1;
  expect(sessions.isOpen(session.id, cookieOf(session))).toBe(true);
  nowMs++;
  expect(sessions.isOpen(session.id, cookieOf(session))).toBe(false);
});

test('the cookie is for its own path, and for no script and no other site', () => {
  const session = opened(new Sessions());
  expect(setCookie(session)).toMatch(
    /^compute_local_dashboard=[\w-]{43}; Path=\/s\/[\w-]{16}; HttpOnly; SameSite=Strict; Max-Age=43200$/,
  );
});
