import { cstring, message } from '../../wire/messages.ts';

/** The name of the front's own statement in a client's session: the unnamed one is the client's. */
export const ownStatement = 'compute_local_front';

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

export const parse = (name: string, text: string): Buffer =>
  message('P', cstring(name), cstring(text), int16(0));

/** Values as text, in the encoding of the client. */
export const bind = (statement: string, values: readonly Buffer[]): Buffer =>
  message(
    'B',
    cstring(''),
    cstring(statement),
    int16(0),
    int16(values.length),
    ...values.flatMap((value) => [int32(value.length), value]),
    int16(0),
  );

export const execute = (): Buffer => message('E', cstring(''), int32(0));
/** @param name its bytes, as latin1 */
export const describe = (name: string): Buffer =>
  message('D', Buffer.from('S'), Buffer.from(`${name}\0`, 'latin1'));
export const close = (name: string): Buffer => message('C', Buffer.from('S'), cstring(name));

/** The values of a DataRow as text; null is SQL's NULL. */
export function readRow(body: Buffer): (Buffer | null)[] {
  const values: (Buffer | null)[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length === -1 ? null : body.subarray(at, at + length));
    at += Math.max(0, length);
  }
  return values;
}
