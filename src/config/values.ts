import { parseDuration } from '../core/duration.ts';

const megabyte = 1024 * 1024;
const units: Readonly<Record<string, number>> = { kb: 1024, mb: megabyte, gb: 1024 * megabyte };

/** Of replicas and static nodes: each has a directory of that name. */
export const nodeNamePattern = /^[a-z0-9][a-z0-9_-]{0,30}$/;

/** The words of the kinds that take few. */
export const choices = { bool: ['true', 'false'], logFormat: ['text', 'json'] } as const;

const portOrZero = whole(0, 65_535, 'a port from 1 to 65535, or none');

function bytesIn(text: string): number | null {
  const match = /^(\d+)\s*(kb|mb|gb)?$/i.exec(text.trim());
  const value = Number(match?.[1]) * (units[match?.[2]?.toLowerCase() ?? ''] ?? 1);
  return match !== null && Number.isSafeInteger(value) ? value : null;
}

/** `90`, `30m`, `2 hours`. */
function secondsIn(text: string): number | null {
  const ms = parseDuration(/^\d+$/.test(text) ? `${text}s` : text);
  return ms === null ? null : ms / 1000;
}

/** The kinds of values that options take: each reads the text, or throws an Error whose message says what is expected. */
export const kinds = {
  /** An option without a value. */
  flag: () => true,
  text: (text: string) => text,
  path: nonEmpty('a path'),
  name: nonEmpty('a name'),
  osUser: nonEmpty('a name'),
  role: (text: string) => {
    if (/^[a-z_]+$/.test(text)) return text;
    throw new Error('--privileged-role-name can only contain lowercase letters and underscores');
  },
  computeId: (text: string) => {
    // `.` and `..` would change the path of the control plane's URL.
    if (text !== '' && text !== '.' && text !== '..') return text;
    throw new Error('Expected an id that is not empty and not "." or "..".');
  },
  httpUrl: (text: string) => {
    const url = parseUrl(text);
    if (url.protocol === 'http:' || url.protocol === 'https:') return text;
    throw new Error('Expected a URL that starts with http:// or https://.');
  },
  gatewayUrl: (text: string) => {
    const url = `${text.replace(/\/+$/, '')}/`;
    parseUrl(url);
    if (text.includes('?')) throw new Error('parameters detected in remote extensions base URL');
    return url;
  },
  port: whole(0, 65_535, 'a port from 0 to 65535'),
  /** A port with a known number: not one that the system chooses. */
  listenPort: whole(1, 65_535, 'a port from 1 to 65535'),
  /** 0: none. */
  portOrNone: (text: string) => (text === 'none' ? 0 : portOrZero(text)),
  // The ceilings keep timers within the 2^31 milliseconds that Node can wait.
  seconds: whole(1, 1_000_000, 'whole seconds from 1 to 1000000'),
  milliseconds: whole(0, 1_000_000_000, 'whole milliseconds from 0 to 1000000000'),
  /** Seconds: `30s`, `5min`, `2h`, `500ms`, or a number of them. */
  count: whole(1, 1_000_000_000, 'a whole number from 1 to 1000000000'),
  bool: (text: string) => oneOf(choices.bool, text) === 'true',
  logFormat: (text: string) => oneOf(choices.logFormat, text),
  /** Bytes: `256MB`, `1GB`, or a number of them. */
  size: (text: string) => {
    const value = bytesIn(text);
    if (value !== null && value >= 4 * megabyte) return value;
    throw new Error('Expected a size of 4MB or more, such as 256MB.');
  },
  /** Seconds: `30m`, `2h`, `7d`. */
  duration: (text: string) => {
    const seconds = secondsIn(text);
    if (seconds !== null) return seconds;
    throw new Error('Expected a time such as 30s, 5min, 2h or 7d.');
  },
  /** The same, and more than nothing. */
  lifetime: (text: string) => {
    const seconds = secondsIn(text);
    if (seconds !== null && seconds > 0) return seconds;
    throw new Error('Expected a time above 0 such as 30min, 2h or 7d.');
  },
  /** Bytes, or 0. */
  sizeOrZero: (text: string) => {
    const value = bytesIn(text);
    if (value !== null) return value;
    throw new Error('Expected a size such as 256MB, or 0.');
  },
  nodeName: (text: string) => {
    if (nodeNamePattern.test(text)) return text;
    throw new Error('Expected up to 31 lower-case letters, digits, - and _.');
  },
} as const satisfies Record<string, (text: string) => Value>;

type Value = string | number | boolean;

export type Kind = keyof typeof kinds;
export type ValueOf<K extends Kind> = ReturnType<(typeof kinds)[K]>;

/** Reads a value. @throws Error that says what is expected */
export const readValue = (kind: Kind, text: string): Value => kinds[kind](text);

function nonEmpty(what: string): (text: string) => string {
  return (text) => {
    if (text !== '' && !text.includes('\0')) return text;
    throw new Error(`Expected ${what}.`);
  };
}

function oneOf<T extends string>(words: readonly T[], text: string): T {
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  throw new Error(`Expected ${words.join(' or ')}.`);
}

function whole(min: number, max: number, what: string): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\+?\d+$/.test(text) && number >= min && number <= max) return number;
    throw new Error(`Expected ${what}.`);
  };
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new Error('Expected a URL.');
  }
}
