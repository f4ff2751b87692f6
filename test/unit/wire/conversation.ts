import { once } from 'node:events';
import { connect } from 'node:net';
import { type BackendMessage, DataRowMessage, DatabaseError } from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import { cstring, message } from '../../../src/wire/messages.ts';

/** A packet without a type: length and body. */
export const untyped = (body: Buffer): Buffer => message('Q', body).subarray(1);

export const startup = (version = 0x30000): Buffer => {
  const code = Buffer.alloc(4);
  code.writeUInt32BE(version);
  return untyped(Buffer.concat([code, ...['user', 'me', ''].map(cstring)]));
};

export const query = (text: string): Buffer => message('Q', cstring(text));
export const parse = (name: string, text: string): Buffer =>
  message('P', cstring(name), cstring(text), Buffer.alloc(2));
export const bind = (portal: string, name: string): Buffer =>
  message('B', cstring(portal), cstring(name), Buffer.alloc(6));
export const describePortal = (name: string): Buffer => message('D', cstring(`P${name}`));
export const describeStatement = (name: string): Buffer => message('D', cstring(`S${name}`));
export const execute = (portal: string): Buffer => message('E', cstring(portal), Buffer.alloc(4));
export const closeStatement = (name: string): Buffer => message('C', cstring(`S${name}`));
export const sync = message('S');
export const leave = message('X');

/** One line for a message: its name, and what matters of it. */
export function told(one: BackendMessage): string {
  if (one instanceof DatabaseError) return `error ${one.code}: ${one.message}`;
  if (one instanceof DataRowMessage) return `dataRow ${one.fields.map(String).join(',')}`;
  if ('text' in one) return `${one.name} ${String(one.text)}`;
  return one.name;
}

/** Everything a server says to these bytes until it hangs up, without the parameters it reports. */
export async function converse(port: number, ...bytes: readonly Buffer[]): Promise<string[]> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  const [parser, said]: [Parser, string[]] = [new Parser(), []];
  socket.on('data', (chunk: Buffer) => parser.parse(chunk, (one) => said.push(told(one))));
  socket.write(Buffer.concat(bytes));
  await once(socket, 'close');
  return said.filter((line) => line !== 'parameterStatus');
}

/** The same after a log-in, and without what belongs to that. */
export const talk = async (port: number, ...bytes: readonly Buffer[]): Promise<string[]> =>
  (await converse(port, startup(), ...bytes)).slice(2);
