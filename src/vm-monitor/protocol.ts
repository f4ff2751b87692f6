import { ComputeError } from '../core/errors.ts';

/** The only version of the protocol that is spoken here. */
export const protocolVersion = 1;

/** What the agent says after the hand-shake. `memBytes` is the memory of the VM as seen from outside. */
export type AgentMessage =
  | {
      readonly type: 'UpscaleNotification' | 'DownscaleRequest';
      readonly id: number;
      readonly memBytes: number;
    }
  | { readonly type: 'HealthCheck'; readonly id: number }
  | { readonly type: 'InvalidMessage' | 'InternalError'; readonly id: number; readonly error: string };

export type MonitorMessage =
  | { readonly type: 'UpscaleConfirmation' | 'HealthCheck' | 'UpscaleRequest'; readonly id: number }
  | { readonly type: 'DownscaleResult'; readonly Ok: boolean; readonly Status: string; readonly id: number }
  | { readonly type: 'InvalidMessage' | 'InternalError'; readonly error: string; readonly id: number };

export type Negotiation =
  | { readonly version: number }
  | { readonly error: string }
  /** What came is no range of versions; it gets no answer. */
  | { readonly unreadable: string };

/** The answer to the agent's first message, the range of versions it speaks. */
export function negotiate(text: string): Negotiation {
  const range = parseJson(text);
  const [min, max] = [field(range, 'min'), field(range, 'max')];
  if (!isVersion(min) || !isVersion(max)) return { unreadable: 'min and max must be integers from 0 to 255' };
  if (min > max) return { unreadable: `the range from ${min} to ${max} is empty` };
  if (min <= protocolVersion && max >= protocolVersion) return { version: protocolVersion };
  const ours = `v${protocolVersion}.0`;
  return {
    error: `no common version: the agent speaks v${min}.0 to v${max}.0, the monitor ${ours} to ${ours}`,
  };
}

/** A message that cannot be understood. */
export class InvalidMessage extends ComputeError {
  /** The id it carries, or 0, which is nobody's, when there is none to be read. */
  readonly id: number;
  /** The type it claims, if it has one. */
  readonly type: string | null;

  constructor(why: string, id: number, type: string | null) {
    super('bad_request', why);
    this.id = id;
    this.type = type;
  }
}

/** Reads a message. Keys may come in any order, and unknown ones are passed over.
 *  @throws InvalidMessage */
export function parseAgentMessage(text: string): AgentMessage {
  const message = parseJson(text);
  const type = field(message, 'type');
  const given = field(message, 'id');
  const id = isWhole(given) ? given : 0;
  const invalid = (why: string): InvalidMessage =>
    new InvalidMessage(why, id, typeof type === 'string' ? type : null);
  if (message === undefined) throw invalid('not JSON');
  if (!isObject(message)) throw invalid('not an object');
  if (typeof type !== 'string') throw invalid('no type');
  if (!isWhole(given)) throw invalid('id must be a whole number');
  const content = field(message, 'content');
  if (!isObject(content)) throw invalid('content must be an object');
  switch (type) {
    case 'HealthCheck':
      return { type, id };
    case 'UpscaleNotification':
      return { type, id, memBytes: memory(content, 'granted', invalid) };
    case 'DownscaleRequest':
      return { type, id, memBytes: memory(content, 'target', invalid) };
    case 'InvalidMessage':
    case 'InternalError': {
      const error = field(content, 'error');
      if (typeof error !== 'string') throw invalid('content.error must be a string');
      return { type, id, error };
    }
    default:
      throw invalid(`unknown type ${JSON.stringify(type.slice(0, 100))}`);
  }
}

function memory(content: object, name: string, invalid: (why: string) => InvalidMessage): number {
  const allocation = field(content, name);
  const [cpu, mem] = [field(allocation, 'cpu'), field(allocation, 'mem')];
  if (typeof cpu !== 'number') throw invalid(`content.${name}.cpu must be a number`);
  if (!isWhole(mem)) throw invalid(`content.${name}.mem must be a whole number of bytes`);
  return mem;
}

/** Longest `Status` or `error` in characters: the agent breaks off above 32768 bytes a message. */
const maxText = 4000;

export function formatMessage(message: MonitorMessage): string {
  if ('Status' in message) return JSON.stringify({ ...message, Status: message.Status.slice(0, maxText) });
  if ('error' in message) return JSON.stringify({ ...message, error: message.error.slice(0, maxText) });
  return JSON.stringify(message);
}

/** Ids of the monitor's own messages: odd, so that they never meet an id of the agent's. The first is 3. */
export class OwnIds {
  #last = 1;

  next(): number {
    this.#last += 2;
    return this.#last;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const field = (value: unknown, name: string): unknown =>
  isObject(value) && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isVersion = (value: unknown): value is number => isWhole(value) && value <= 255;
