import type { TlsPair } from '../../postgres/tls.ts';
import type { Health } from '../service.ts';

const dayMs = 86_400_000;

/** Whoever renews a certificate does so with a third of its life left, or a month; with a fifth of it, 14 days at most, nobody has. */
export const soonMs = ({ validFromMs, validToMs }: TlsPair): number =>
  Math.min(14 * dayMs, (validToMs - validFromMs) / 5);

export interface Judgement {
  readonly state: Health['state'];
  readonly error: string;
}

export const worse = (a: Judgement | null, b: Judgement | null): Judgement | null => {
  if (a === null || b === null) return a ?? b;
  const state = a.state === 'failed' || b.state === 'failed' ? 'failed' : 'degraded';
  return { state, error: `${a.error}; ${b.error}` };
};

/** What is wrong with the validity of a pair that is in use; null when nothing is. */
export function judgeValidity(pair: TlsPair, nowMs: number): Judgement | null {
  const { validFromMs, validToMs, subject } = pair;
  const which = `the TLS certificate of ${subject}`;
  if (nowMs > validToMs)
    return {
      state: 'failed',
      error: `${which} expired at ${shown(validToMs)}: clients that check it refuse to connect. Renew it`,
    };
  if (nowMs < validFromMs)
    return {
      state: 'failed',
      error: `${which} is not valid before ${shown(validFromMs)}: clients that check it refuse to connect. Compare the clocks`,
    };
  return nowMs < validToMs - soonMs(pair)
    ? null
    : { state: 'degraded', error: `${which} expires at ${shown(validToMs)} and has not been renewed` };
}

/** The files have a pair that is not taken, since it is not valid, and the earlier one is. */
export const judgeHeld = (inFiles: TlsPair, inUse: TlsPair, nowMs: number): Judgement => ({
  state: 'degraded',
  error: `the new TLS certificate of ${inFiles.subject} ${
    nowMs > inFiles.validToMs
      ? `expired at ${shown(inFiles.validToMs)}`
      : `is not valid before ${shown(inFiles.validFromMs)}`
  }: the earlier one stays in use, valid until ${shown(inUse.validToMs)}`,
});

/** What clients will run into although the pair is in order; null when nothing. */
export const caveatOf = ({ edSigned, subject }: TlsPair): string | null =>
  edSigned
    ? `the TLS certificate of ${subject} is signed with Ed25519 or Ed448: clients made with libpq cannot log in with a password unless they say channel_binding=disable. A certificate that is signed with RSA or ECDSA works with all clients`
    : null;

export const describe = ({ subject, validToMs }: TlsPair): string =>
  `certificate of ${subject}, valid until ${shown(validToMs)}`;

const shown = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');
