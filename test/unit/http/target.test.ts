import type { IncomingMessage } from 'node:http';
import { assert, property, string, webPath } from 'fast-check';
import { expect, test } from 'vitest';
import { UnreadableRequest } from '../../../src/http/extract.ts';
import { readTarget } from '../../../src/http/target.ts';

const read = (url: string, host?: string) => {
  const headers = host === undefined ? {} : { host };
  return readTarget({ url, headers, rawHeaders: [] as string[] } as IncomingMessage);
};

test.each<[string, string, string]>([
  ['/status', '/status', ''],
  ['/status?a=b?c', '/status', '?a=b?c'],
  ['/status?', '/status', '?'],
  ['http://other:1/status?a', '/status', '?a'],
  ['//status', '//status', ''],
  ['/extension_server/a%20b%2fc', '/extension_server/a%20b%2fc', ''],
  ['/extension_server/../status', '/status', ''],
  ['/extension_server/.hidden/x', '/extension_server/.hidden/x', ''],
  ['/%2e%2e/status', '/status', ''],
])('%s is the path %s with the query %j', (url, path, query) => {
  expect(read(url, 'a:80')).toEqual({ path, query });
});

test.each(['*', '/a\\b', 'http://[/x', 'status', '', 'mailto:x', 'ftp://a/status'])(
  'the target %j is refused',
  (url) => {
    expect(() => read(url)).toThrow('malformed request target or host');
  },
);

test.each(['a b', 'a@b', 'a/b', 'a?b'])('the host %j is refused, and none at all is fine', (host) => {
  expect(() => read('/status', host)).toThrow(UnreadableRequest);
  expect(read('/status').path).toBe('/status');
});

/** The path, or `/refused`. */
function pathOf(text: string): string {
  try {
    return read(text).path;
  } catch (error) {
    if (error instanceof UnreadableRequest) return '/refused';
    throw error;
  }
}

test('whatever comes is a path that begins with a slash, or refused', () => {
  const beginsWithSlash = (text: string): boolean => pathOf(text).startsWith('/');
  assert(property(string({ unit: 'binary-ascii' }), beginsWithSlash));
  assert(property(webPath(), (path) => beginsWithSlash(`/a${path}`)));
});
