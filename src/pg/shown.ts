import { type Parameters, parseKeyValues, parseUrl } from './libpq-syntax.ts';

/** Parameters whose values are not secret. The password and unknown parameters are left out. */
const shown: readonly string[] = [
  'user',
  'host',
  'hostaddr',
  'port',
  'dbname',
  'sslmode',
  'sslrootcert',
  'application_name',
  'connect_timeout',
];

/** The part of a connection string that may be shown, as `key=value` pairs. */
export function shownConnstr(text: string): string {
  const found = read(text);
  if (found === null) return 'not a connection string';
  return shown.flatMap((name) => (found.has(name) ? [`${name}=${found.get(name)}`] : [])).join(' ');
}

function read(text: string): Parameters | null {
  try {
    return /^postgres(?:ql)?:\/\//.test(text) ? parseUrl(text) : parseKeyValues(text);
  } catch {
    return null;
  }
}
