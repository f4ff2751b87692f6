import { type Parameters, parseKeyValues, parseUrl } from './libpq-syntax.ts';

/** Parameters whose values are not secret. Left out are the password and whatever libpq does not know. */
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

/** What people may see of a connection string, as `key=value` pairs. */
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
