import type { WireLimits } from '../../wire/server.ts';

/** Bounds of what pageserver and safekeeper take from their clients. */
export const wireLimits: Partial<WireLimits> = {
  /** Their commands are short. */
  maxMessageBytes: 64 * 1024,
  /** Each needs the token of the storage. */
  loggedIn: 100,
  joining: 64,
};

/** The beginning of what a client sent, for an error. */
export const shown = (text: string): string => text.slice(0, 200);
