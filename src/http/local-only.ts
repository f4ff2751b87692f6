import type { IncomingMessage } from 'node:http';
import { UnreadableRequest } from './extract.ts';

/** The names of this machine. Nothing else is one here: not a trailing dot, a login, or another spelling of an address. */
const loopback: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];
const hostAndPort = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i;
const ownSchemes: readonly string[] = ['http:', 'ws:'];

/** Refuses a request for another host than this machine, and one that a browser marks as sent by a page of another server.
 *  Any page can make a browser send requests to the loopback; and when its name is resolved to the loopback (DNS
 *  rebinding), it may also read the answers, but then the request has that name.
 *  A server that also listens elsewhere is called by the address that it was reached at, too.
 *  @throws UnreadableRequest `not_local` */
export function checkLocal({ headers, url = '', rawHeaders, socket }: IncomingMessage): void {
  const names = [...loopback, shown(socket.localAddress)];
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length;
  const port = hosts === 1 ? portOf(headers.host ?? '', names) : null;
  if (port === null) refuse('the header Host must be localhost, 127.0.0.1 or [::1]');
  if (!url.startsWith('/') && !isLocalTarget(url, names))
    refuse('the host of the target must be localhost, 127.0.0.1 or [::1]');
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    refuse('a browser sent it for a page of another server (Sec-Fetch-Site)');
  const { origin } = headers;
  if (origin === undefined) return;
  const from = /^http:\/\/([^/]*)$/i.exec(origin)?.[1] ?? '';
  if (portOf(from, names) !== port) refuse('a browser sent it for a page of another server (Origin)');
}

/** Null for another host than those. */
function portOf(text: string, names: readonly string[]): string | null {
  const [, name, port = '80'] = hostAndPort.exec(text) ?? [];
  return name !== undefined && names.includes(name.toLowerCase()) ? port : null;
}

/** The absolute form of a target, whose host takes precedence over the header; `*` has none. */
function isLocalTarget(url: string, names: readonly string[]): boolean {
  if (url === '*') return true;
  const name = /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1] ?? '';
  return URL.canParse(url) && ownSchemes.includes(new URL(url).protocol) && portOf(name, names) !== null;
}

/** As a URL has it: IPv6 in brackets, and IPv4 without its form in IPv6. */
function shown(address = ''): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return plain.includes(':') ? `[${plain}]` : plain;
}

function refuse(why: string): never {
  throw new UnreadableRequest('not_local', `this server is for programs on this machine: ${why}`);
}
