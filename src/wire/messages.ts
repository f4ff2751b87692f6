/** The client broke the protocol: the connection cannot continue. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';

  constructor(what: string) {
    super(`invalid ${what}`);
  }
}

/** An answer to the client: ErrorResponse with this SQLSTATE and text. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly sqlstate: string;

  constructor(sqlstate: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.sqlstate = sqlstate;
  }
}

const textOid = 25;
const asText = 0;

/** Type letter, length, body. */
export function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const size = parts.reduce((sum, part) => sum + part.length, 4);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeUInt32BE(size, 1);
  return Buffer.concat([head, ...parts], size + 1);
}

/** In the protocol a text ends at a NUL, so NULs inside it are removed. */
export const cstring = (text: string): Buffer => Buffer.from(`${text.replaceAll('\0', '')}\0`);

function numbers(...values: readonly (readonly [bytes: 2 | 4, value: number])[]): Buffer {
  const bytes = Buffer.alloc(values.reduce((sum, [size]) => sum + size, 0));
  let at = 0;
  for (const [size, value] of values) at = bytes.writeIntBE(value, at, size);
  return bytes;
}

export const authenticationOk = (): Buffer => message('R', numbers([4, 0]));
export const authenticationCleartextPassword = (): Buffer => message('R', numbers([4, 3]));
export const parameterStatus = (name: string, value: string): Buffer =>
  message('S', cstring(name), cstring(value));
export const readyForQuery = (): Buffer => message('Z', Buffer.from('I'));
export const parseComplete = (): Buffer => message('1');
export const bindComplete = (): Buffer => message('2');
export const closeComplete = (): Buffer => message('3');
export const noData = (): Buffer => message('n');
export const emptyQueryResponse = (): Buffer => message('I');
/** No parameters: none of the served commands has any. */
export const parameterDescription = (): Buffer => message('t', numbers([2, 0]));
export const commandComplete = (tag: string): Buffer => message('C', cstring(tag));
/** Binary format, no columns: the payload is an archive, not rows. */
export const copyOutResponse = (): Buffer => message('H', Buffer.from([0]), numbers([2, 0]));
export const copyDone = (): Buffer => message('c');

/** Only the header: the payload is sent after it, without a copy. */
export const copyDataHeader = (bytes: number): Buffer =>
  Buffer.concat([Buffer.from('d'), numbers([4, bytes + 4])]);

/** Every column is text. */
export const rowDescription = (columns: readonly string[]): Buffer =>
  message(
    'T',
    numbers([2, columns.length]),
    ...columns.map((name) =>
      Buffer.concat([cstring(name), numbers([4, 0], [2, 0], [4, textOid], [2, -1], [4, -1], [2, asText])]),
    ),
  );

export const dataRow = (values: readonly (string | null)[]): Buffer =>
  message(
    'D',
    numbers([2, values.length]),
    ...values.map((value) => {
      if (value === null) return numbers([4, -1]);
      const bytes = Buffer.from(value);
      return Buffer.concat([numbers([4, bytes.length]), bytes]);
    }),
  );

export const errorResponse = (sqlstate: string, text: string): Buffer =>
  message('E', ...[`SERROR`, `C${sqlstate}`, `M${text}`].map(cstring), Buffer.from([0]));

/** The text up to the next NUL, and the position after the NUL.
 *  @throws ProtocolError when there is no NUL */
export function readCString(body: Buffer, at: number): [text: string, next: number] {
  const end = body.indexOf(0, at);
  if (at > body.length || end === -1) throw new ProtocolError('text without an end');
  return [body.toString('utf8', at, end), end + 1];
}

/** Names and values of a start-up packet, which begins after the protocol version. */
export function readStartup(body: Buffer): Map<string, string> {
  const parameters = new Map<string, string>();
  for (let at = 4; ;) {
    const [name, value] = readCString(body, at);
    if (name === '') return parameters;
    const [text, next] = readCString(body, value);
    parameters.set(name, text);
    at = next;
  }
}

/** The `key=value` words of the start-up parameter `options`, split at unescaped blanks; `\` escapes the next character. */
export function startupOptions(options: string): Map<string, string> {
  const words = options.match(/(?:\\.|[^\\\s])+/gs) ?? [];
  const pairs = words.map((word) => /^([^=]+)=(.*)$/s.exec(word.replaceAll(/\\(.)/gs, '$1')));
  return new Map(pairs.filter((pair) => pair !== null).map((pair) => [pair[1] ?? '', pair[2] ?? '']));
}
