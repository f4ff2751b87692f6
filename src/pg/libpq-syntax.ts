/** Parameters by name; if a name is given twice, the last value counts. */
export type Parameters = ReadonlyMap<string, string>;

/** Parses a URL. The messages never quote it: it may contain a password.
 *  @throws Error */
export function parseUrl(text: string): Parameters {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error('not a valid URL');
  }
  if (text.includes('#')) throw new Error("'#' must be written %23");
  const found = new Map<string, string>();
  const set = (name: string, value: string): void => {
    if (value !== '') found.set(name, decode(name, value));
  };
  set('user', url.username);
  set('password', url.password);
  set('host', url.hostname.replace(/^\[(.*)\]$/, '$1'));
  set('port', url.port);
  set('dbname', pathOf(text));
  for (const pair of url.search.slice(1).split('&')) {
    if (pair === '') continue;
    const [name = '', ...rest] = pair.split('=');
    found.set(decode('name of a parameter', name), decode(name, rest.join('=')));
  }
  return found;
}

/** The text after the first slash. `URL` cannot be used here: it treats the names `.` and `..` as directories. `URL` drops
 *  line breaks and blanks at the end; so does this. */
const pathOf = (text: string): string =>
  /^[^:]+:\/\/[^/?]*\/([^?]*)/.exec(text.replaceAll(/[\t\n\r]|[\0- ]+$/g, ''))?.[1] ?? '';

/** Unlike in web forms, a plus sign is a plus sign. */
function decode(what: string, text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes('\0')) return decoded;
  } catch {
    // the same message as for a NUL
  }
  throw new Error(`${what} has a wrong percent encoding`);
}

/** One pair: a name, `=`, and a value that is plain or in single quotes; a backslash escapes in both. */
const pairPattern =
  /\s*(?<name>[^\s='\\]+)\s*=\s*(?:'(?<quoted>(?:[^'\\]|\\.)*)'|(?<plain>(?!')(?:[^\s\\]|\\.)*))(?=\s|$)\s*/sy;

/** Parses `key=value` pairs. @throws Error */
export function parseKeyValues(text: string): Parameters {
  const found = new Map<string, string>();
  pairPattern.lastIndex = 0;
  while (pairPattern.lastIndex < text.length) {
    const at = pairPattern.lastIndex;
    const match = pairPattern.exec(text);
    if (match === null) {
      if (text.slice(at).trim() === '') break;
      throw new Error(`neither a postgresql:// URL nor key=value pairs (column ${at + 1})`);
    }
    const { name = '', quoted, plain = '' } = match.groups ?? {};
    found.set(name, (quoted ?? plain).replaceAll(/\\(.)/gs, '$1'));
  }
  return found;
}
