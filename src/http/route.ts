import * as v from 'valibot';
import type { ErrorCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Status } from '../core/status.ts';
import type { Answer } from './answer.ts';
import type { Scheme } from './auth.ts';

export type Schema<T = unknown> = v.GenericSchema<unknown, T>;
export type QuerySchema<T = unknown> = Schema<T> & { readonly entries: Readonly<Record<string, unknown>> };
export type Method = 'GET' | 'POST' | 'DELETE';

/** What a handler is given besides the app. */
export interface RouteInput<Q = unknown, B = unknown> {
  readonly query: Q;
  readonly body: B;
  /** The name in the path, decoded; empty for routes without `tail`. */
  readonly tail: string;
  /** Aborts when the client leaves, when the route's limit is over and when the server is cut off. */
  readonly signal: AbortSignal;
  /** Carries the request id. */
  readonly log: Log;
}

/** One route: what it accepts, what it answers and how to get there. Validation and documentation read the same object.
 *  `App` is what its handler may ask. */
export interface Route<App = never, Q = unknown, B = unknown, R = unknown> {
  readonly method: Method;
  /** All of it, or what stands before the `tail`. */
  readonly path: string;
  /** The path goes on with a name of any length, slashes included: how it is called and what it is. `suffix` is what
   *  follows it. */
  readonly tail?: { readonly name: string; readonly doc: string; readonly suffix?: `/${string}` };
  /** What a client must show; the server must know how to check it. */
  readonly auth: Scheme;
  /** One sentence, for the reference. */
  readonly summary: string;
  /** What a client of the original would notice, for the reference. */
  readonly differs?: string;
  /** In any other status the answer is 412. Left out: every status will do. */
  readonly allowedIn?: readonly Status[];
  /** The app checks the body and the status by itself: it looks into the meaning of the body (400, 422) before it
   *  looks at the status (412). `body` and `allowedIn` then only document it. */
  readonly checkedByApp?: true;
  readonly query?: QuerySchema<Q>;
  /** What a request without any `?` means. With a `?` the schema holds as it is. */
  readonly withoutQuery?: NoInfer<Q>;
  /** JSON, at most 2 MiB. */
  readonly body?: Schema<B>;
  /** Status of a success; 200 when left out. */
  readonly success?: 200 | 201 | 202;
  /** The body of a success: JSON, or text when `contentType` says so. `nothing` for an empty one. */
  readonly reply: Schema<R>;
  readonly contentType?: string;
  /** Statuses with the shape of `reply` besides that of a success, and when they are answered. */
  readonly otherReplies?: Readonly<Record<number, string>>;
  /** The errors of the route itself; those of reading and authenticating a request go without saying. */
  readonly errors: readonly ErrorCode[];
  /** Milliseconds until the answer is 504. Left out by a route that only reads memory and never waits. */
  readonly limitMs?: number;
  /** The work goes on when the client leaves or the limit is over. */
  readonly goesOn?: true;
  /** Called too often for a log line of each request at level info. */
  readonly quiet?: true;
  handler(input: RouteInput<Q, B>, app: App): R | Answer | Promise<R | Answer>;
}

/** The reply of a route that answers without a body. */
export const nothing = v.undefined();
