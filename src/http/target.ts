import type { IncomingMessage } from 'node:http';
import { UnreadableRequest } from './extract.ts';

/** Matches nearly every target; these need no further parsing. */
const plain = /^\/[\w/.-]*$/;
/** The name or address of a host and its port.
 *  @see https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2 */
const hostName = /^[\w.~!$&'()*+,;=:[\]%-]*$/;

export interface Target {
  /** Still percent-encoded, without `.` and `..` as steps. */
  readonly path: string;
  /** With its question mark; empty without one. */
  readonly query: string;
}

/** Headers of a request. Together they may have 16 KiB. */
const mostHeaders = 100;

/** Parses a request's target, also in its absolute form.
 *  @throws UnreadableRequest `bad_request`, also for too many headers */
export function readTarget({ url = '', headers: { host = '' }, rawHeaders }: IncomingMessage): Target {
  if (rawHeaders.length > mostHeaders * 2)
    throw new UnreadableRequest('bad_request', `the request has more than ${mostHeaders} headers`);
  const at = url.indexOf('?');
  const [path, query] = at === -1 ? [url, ''] : [url.slice(0, at), url.slice(at)];
  if (hostName.test(host)) {
    if (plain.test(path) && !path.includes('/.')) return { path, query };
    // Joined to a full URL, because the URL parser takes two slashes at the beginning for a host, and a backslash for a slash.
    const whole = path.startsWith('/') ? `http://localhost${path}` : path;
    if (/^(http|ws)s?:\/\/[^\\]*$/i.test(whole) && URL.canParse(whole)) {
      return { path: new URL(whole).pathname, query };
    }
  }
  throw new UnreadableRequest('bad_request', 'malformed request target or host');
}
