import type { Channel } from './channel.ts';
import { ProtocolError, readStartup } from '../../wire/messages.ts';
import type { Encryption } from './encryption.ts';

/** How a client wants to begin. */
export type First =
  /** Also one that begins with TLS where there is none, or does not say that it speaks this protocol. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'cancel'; readonly key: Buffer }
  | { readonly kind: 'startup'; readonly startup: Startup };

/** The start-up packet. */
export interface Startup {
  /** As it came. */
  readonly raw: Buffer;
  readonly major: number;
  readonly minor: number;
  readonly role: string;
  readonly database: string;
  readonly application: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const sslRequest = 80877103;
const gssEncRequest = 80877104;
const cancelRequest = 80877102;
/** The first byte of TLS. */
const handshake = 0x16;
/** Protocol number and pid before the key. */
const cancelBytes = 8;

/** Answers what may come before the start-up packet, by itself: there is no encryption behind it.
 *  @param encryption null: none
 *  @throws ProtocolError; AbortError of `signal` */
export async function readFirst(
  client: Channel,
  encryption: Encryption | null,
  signal: AbortSignal,
): Promise<First> {
  const asked = new Set<number>();
  await client.any(signal);
  if (client.firstByte === handshake) {
    const named = await encryption?.around(client);
    await client.any(signal);
    if (named?.() !== true) return { kind: 'gone' };
    asked.add(sslRequest).add(gssEncRequest);
  }
  for (;;) {
    const packet = await client.next(true, signal);
    if (packet === null) return { kind: 'gone' };
    const code = packet.body.readUInt32BE(0);
    if (code === cancelRequest && packet.body.length > cancelBytes)
      return { kind: 'cancel', key: packet.body.subarray(4) };
    if (code !== sslRequest && code !== gssEncRequest) return { kind: 'startup', startup: parse(packet) };
    // Each of them once at most.
    if (asked.has(code)) throw new ProtocolError('start of a connection: encryption was already answered');
    asked.add(code);
    if (code === sslRequest && encryption !== null) {
      // Somebody between could have put it there.
      if (client.holds) throw new ProtocolError('start of a connection: bytes after the request for TLS');
      client.socket.write('S');
      await encryption.around(client);
      asked.add(gssEncRequest);
    } else client.socket.write('N');
  }
}

function parse({ raw, body }: { readonly raw: Buffer; readonly body: Buffer }): Startup {
  const code = body.readUInt32BE(0);
  const [major, minor] = [code >>> 16, code & 0xffff];
  const parameters: ReadonlyMap<string, string> = major === 3 ? readStartup(body) : new Map();
  const role = clipped(parameters.get('user') ?? '');
  const database = clipped(parameters.get('database') ?? '');
  return {
    raw: Buffer.from(raw),
    major,
    minor,
    role,
    database: database === '' ? role : database,
    application: parameters.get('application_name') ?? '',
    parameters,
  };
}

/** PostgreSQL looks for longer names by their beginning. */
const nameBytes = 63;

function clipped(name: string): string {
  const bytes = Buffer.from(name);
  return bytes.length <= nameBytes ? name : bytes.toString('utf8', 0, nameBytes);
}

/** Whether it asks for physical replication, which only the storage gets. */
export const isPhysical = ({ parameters }: Startup): boolean =>
  /^(t(r(ue?)?)?|y(es?)?|on|1)$/i.test(parameters.get('replication') ?? '');

/** The options of the protocol that it asks for. */
export const protocolOptions = ({ parameters }: Startup): string[] =>
  [...parameters.keys()].filter((name) => name.startsWith('_pq_.'));

/** A client, for people. The client chooses all of it. */
export function whoIs(role: string, database: string, application: string): string {
  const what = application === '' ? '' : ` (application ${JSON.stringify(application)})`;
  return `role ${JSON.stringify(role)} in database ${JSON.stringify(database)}${what}`;
}
