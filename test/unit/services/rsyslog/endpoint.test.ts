import { expect, test } from 'vitest';
import { parseEndpoint } from '../../../../src/services/rsyslog/endpoint.ts';

test.each([
  ['collector:10514', 'collector', 10_514],
  ['logs.example.com:80', 'logs.example.com', 80],
  ['logs.example.com.:443', 'logs.example.com.', 443],
  ['10.0.0.7:1', '10.0.0.7', 1],
  ['[::1]:65535', '::1', 65_535],
  ['[2001:db8::7]:6514', '2001:db8::7', 6514],
  ['[::ffff:10.0.0.7]:514', '::ffff:10.0.0.7', 514],
  ['under_score:0080', 'under_score', 80],
])('%s is an address', (text, host, port) => {
  expect(parseEndpoint(text, 'x')).toEqual({ host, port });
});

test.each([
  '',
  'collector',
  ':514',
  'collector:',
  'collector:0',
  'collector:65536',
  'collector:-1',
  'collector:5 14',
  'collector:514/path',
  'collector:514?x',
  'http://collector:514',
  'user@collector:514',
  '::1:514',
  '[::1]',
  '[collector]:514',
  '[fe80::1%eth0]:514',
  '[::1]:514:515',
  'a"b:514',
  "a' or b:514",
  'a\nb:514',
  'collector:514\n',
  ' collector:514',
  'col$lector:514',
  'col%lector:514',
  '-x:514',
  `${'a'.repeat(300)}:514`,
])('%j is refused, with what to write', (text) => {
  expect(() => parseEndpoint(text, 'spec.logs_export_host')).toThrow(
    /^spec\.logs_export_host is not an address: "/,
  );
});
