/** Names that are not UTF-8. The catalogs shared by all databases hold a name in the encoding of the database in which it
 *  was given. In our text, a byte that is no part of a UTF-8 character is an unpaired surrogate, U+DC80 to U+DCFF, which
 *  no other text contains; SQL never contains it, because `ident` and `literal` refuse it. */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text for the bytes of a name. */
export function readName(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = [1, 2, 3, 4].find(
      (size) => at + size <= bytes.length && isCharacter(bytes.subarray(at, at + size)),
    );
    text +=
      length === undefined
        ? String.fromCharCode(0xdc00 + (bytes[at] ?? 0))
        : bytes.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return text;
}

function isCharacter(bytes: Buffer): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Whether the driver, which writes UTF-8, cannot send a name. */
export const isRaw = (name: string): boolean => /\p{Surrogate}/u.test(name);

/** The bytes of a name that `readName` returned. */
export const nameBytes = (name: string): Buffer =>
  Buffer.concat(
    Array.from(name, (char) => {
      const code = char.charCodeAt(0);
      return char.length === 1 && code >= 0xdc80 && code <= 0xdcff
        ? Buffer.of(code - 0xdc00)
        : Buffer.from(char);
    }),
  );

/** The first message of a connection, with the name of the database in these bytes.
 *  @see https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-STARTUPMESSAGE */
export function startupWith(message: Buffer, database: Buffer): Buffer {
  const parts: Buffer[] = [message.subarray(0, 8)];
  let at = 8;
  const next = (): Buffer => {
    const end = message.indexOf(0, at);
    const text = message.subarray(at, end === -1 ? message.length : end);
    at += text.length + 1;
    return text;
  };
  while (at < message.length - 1) {
    const [name, value] = [next(), next()];
    parts.push(name, Buffer.of(0), name.toString() === 'database' ? database : value, Buffer.of(0));
  }
  const whole = Buffer.concat([...parts, Buffer.of(0)]);
  whole.writeInt32BE(whole.length, 0);
  return whole;
}
