import * as v from 'valibot';
import { ComputeError } from '../core/errors.ts';
import { agentMessage, versionRange } from './agent-message.ts';

/** The only supported version of the protocol. */
export const protocolVersion = 1;

export type AgentMessage = v.InferOutput<typeof agentMessage>;

export type MonitorMessage =
  | { readonly type: 'UpscaleConfirmation' | 'HealthCheck' | 'UpscaleRequest'; readonly id: number }
  | { readonly type: 'DownscaleResult'; readonly Ok: boolean; readonly Status: string; readonly id: number }
  | { readonly type: 'InvalidMessage' | 'InternalError'; readonly error: string; readonly id: number };

export type Negotiation =
  | { readonly version: number }
  | { readonly error: string }
  /** The message is not a range of versions; it is not answered. */
  | { readonly unreadable: string };

/** The answer to the agent's first message, the range of versions that it supports. */
export function negotiate(text: string): Negotiation {
  const range = v.safeParse(versionRange, parseJson(text));
  if (!range.success) return { unreadable: 'min and max must be integers from 0 to 255' };
  const { min, max } = range.output;
  if (min > max) return { unreadable: `the range from ${min} to ${max} is empty` };
  if (min <= protocolVersion && max >= protocolVersion) return { version: protocolVersion };
  const ours = `v${protocolVersion}.0`;
  return {
    error: `no common version: the agent supports v${min}.0 to v${max}.0, the monitor ${ours} to ${ours}`,
  };
}

/** A message that cannot be parsed. */
export class InvalidMessage extends ComputeError {
  /** Its id; 0, which is never a message's id, if none can be read. */
  readonly id: number;
  /** Its type, if it has one. */
  readonly type: string | null;

  constructor(why: string, { id, type }: { readonly id: number; readonly type: string | null }) {
    super('bad_request', why);
    this.id = id;
    this.type = type;
  }
}

/** Reads parts of an invalid message, for the answer to it. */
const claims = v.fallback(
  v.object({
    id: v.fallback(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0),
    type: v.fallback(v.nullable(v.string()), null),
  }),
  { id: 0, type: null },
);

/** Reads a message.
 *  @throws InvalidMessage */
export function parseAgentMessage(text: string): AgentMessage {
  const message = parseJson(text);
  const read = v.safeParse(agentMessage, message, { abortEarly: true });
  if (read.success) return read.output;
  throw new InvalidMessage(
    message === undefined ? 'not JSON' : reason(read.issues[0]),
    v.parse(claims, message),
  );
}

function reason({ type, input, message, path }: v.BaseIssue<unknown>): string {
  if (type === 'variant' || path === undefined) return message;
  const where = path.map(({ key }) => String(key)).join('.');
  return `${where} ${input === undefined ? 'is missing' : message}`;
}

/** Longest `Status` or `error` in characters: the agent closes the connection above 32768 bytes a message. */
const maxText = 4000;

export function formatMessage(message: MonitorMessage): string {
  if ('Status' in message) return JSON.stringify({ ...message, Status: message.Status.slice(0, maxText) });
  if ('error' in message) return JSON.stringify({ ...message, error: message.error.slice(0, maxText) });
  return JSON.stringify(message);
}

/** Ids of the monitor's own messages: odd, so that they never equal one of the agent's ids. The first is 3. */
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
