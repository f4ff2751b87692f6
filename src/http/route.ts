import type { IncomingHttpHeaders } from 'node:http';
import * as v from 'valibot';
import type { ErrorCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Status } from '../core/status.ts';
import type { Answer } from './answer.ts';
import type { Scheme } from './auth.ts';

export type Schema<T = unknown> = v.GenericSchema<unknown, T>;
export type QuerySchema<T = unknown> = Schema<T> & { readonly entries: Readonly<Record<string, unknown>> };
export type Method = 'GET' | 'POST' | 'DELETE';

/** Passed to a handler besides the app. */
export interface RouteInput<Q = unknown, B = unknown> {
  readonly query: Q;
  readonly body: B;
  /** The name in the path, decoded; empty for routes without `tail`. */
  readonly tail: string;
  readonly headers: IncomingHttpHeaders;
  /** The request is a HEAD: only whether there is an answer is asked for. */
  readonly isHead: boolean;
  /** Aborts when the client disconnects, when the route's time limit is over and when the server is closed at once. */
  readonly signal: AbortSignal;
  /** Its lines have the request id. */
  readonly log: Log;
}

/** One route: what it accepts, what it answers and its path. Validation and documentation read the same object.
 *  `App` is what its handler may call. */
export interface Route<App = never, Q = unknown, B = unknown, R = unknown> {
  readonly method: Method;
  /** The whole path, or the part before the `tail`. */
  readonly path: string;
  /** The path continues with a name of any length, slashes included: its name and description. `suffix` is the fixed text
   *  after it. */
  readonly tail?: { readonly name: string; readonly doc: string; readonly suffix?: `/${string}` };
  /** The required authentication; the server must support it. */
  readonly auth: Scheme;
  /** One sentence, for the reference. */
  readonly summary: string;
  /** Differences from the original that a client notices, for the reference. */
  readonly differs?: string;
  /** In any other status the answer is 412. Left out: allowed in every status. */
  readonly allowedIn?: readonly Status[];
  /** The app itself checks the body and the status: first the body's meaning (400, 422), then the status (412). `body`
   *  and `allowedIn` then only document it. */
  readonly checkedByApp?: true;
  readonly query?: QuerySchema<Q>;
  /** The query of a request without any `?`. With a `?`, the schema applies unchanged. */
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
  /** The route's own errors, in addition to those of reading and authenticating a request. */
  readonly errors: readonly ErrorCode[];
  /** Milliseconds until the answer is 504. Left out: a route that only reads memory and never waits. */
  readonly limitMs?: number;
  /** The work continues when the client disconnects or the limit is over. */
  readonly goesOn?: true;
  /** Called too often for a log line per request at level info. */
  readonly quiet?: true;
  handler(input: RouteInput<Q, B>, app: App): R | Answer | Promise<R | Answer>;
}

/** The reply of a route that answers without a body. */
export const nothing = v.undefined();
