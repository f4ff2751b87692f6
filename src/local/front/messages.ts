import { cstring, message } from '../../wire/messages.ts';

/** SQLSTATE and words with which the front ends a session, as Postgres does. */
export const gone = '57P01';
export const goneText = 'terminating connection due to administrator command';

/** An error that ends the session. */
export function fatal(
  sqlstate: string,
  text: string,
  { detail, hint }: { readonly detail?: string; readonly hint?: string } = {},
): Buffer {
  const more = [...(detail === undefined ? [] : [`D${detail}`]), ...(hint === undefined ? [] : [`H${hint}`])];
  const fields = ['SFATAL', 'VFATAL', `C${sqlstate}`, `M${text}`, ...more];
  return message('E', ...fields.map(cstring), Buffer.from([0]));
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** The kinds of `R`, PostgreSQL's authentication requests. */
export const auth = { ok: 0, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;

/** Which kind a message `R` is. */
export const authKind = (body: Buffer): number => (body.length < 4 ? -1 : body.readInt32BE(0));

export const saslRequest = (mechanism: string): Buffer =>
  message('R', int32(auth.sasl), cstring(mechanism), Buffer.from([0]));
export const saslContinue = (text: string): Buffer =>
  message('R', int32(auth.saslContinue), Buffer.from(text));
export const saslFinal = (text: string): Buffer => message('R', int32(auth.saslFinal), Buffer.from(text));

export const saslInitial = (mechanism: string, text: string): Buffer =>
  message('p', cstring(mechanism), int32(Buffer.byteLength(text)), Buffer.from(text));
export const saslResponse = (text: string): Buffer => message('p', Buffer.from(text));

/** Mechanism and text of a client's first SASL message; null when it is none. */
export function readSaslInitial(body: Buffer): { readonly mechanism: string; readonly text: string } | null {
  const end = body.indexOf(0);
  if (end === -1 || body.length < end + 5) return null;
  const length = body.readInt32BE(end + 1);
  if (length < 0 || end + 5 + length !== body.length) return null;
  return { mechanism: body.toString('latin1', 0, end), text: body.toString('utf8', end + 5) };
}

/** Tells a client that asked for more than the server speaks what it gets.
 *  @param options protocol options that the server does not know */
export const negotiateVersion = (version: number, options: readonly string[]): Buffer =>
  message('v', int32(version), int32(options.length), ...options.map(cstring));

/** The letter of Terminate. */
export const goodbye = 0x58;
export const terminate = (): Buffer => message('X');
export const sync = (): Buffer => message('S');
export const query = (text: string): Buffer => message('Q', cstring(text));
