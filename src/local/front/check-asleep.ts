import { randomBytes } from 'node:crypto';
import type { Channel } from './channel.ts';
import { type Startup, isPhysical, protocolOptions } from './first-packet.ts';
import {
  fatal,
  negotiateVersion,
  readSaslInitial,
  saslContinue,
  saslFinal,
  saslRequest,
} from './messages.ts';
import { type Roster, verifierOf } from './roster.ts';
import {
  clientKeyOf,
  mechanism,
  mockVerifier,
  readClientFinal,
  readClientFirst,
  serverFinal,
  serverFirst,
} from './scram.ts';

const secret = randomBytes(32);
/** Of a message of the exchange, from who has proved nothing yet. */
const proofBytes = 4096;

/** Where PostgreSQL begins to speak protocol 3.2. */
const newProtocolSince = 18;
const [protocol30, protocol32] = [3 << 16, (3 << 16) | 2];

/** Checks a client while Postgres is stopped, in Postgres's own words. Resolves with its ClientKey, with which it is logged in once
 *  Postgres runs; null when it was refused or has left: that is no reason to start anything.
 *  @throws ProtocolError; AbortError of `signal` */
export async function checkAsleep(
  client: Channel,
  startup: Startup,
  roster: Roster,
  signal: AbortSignal,
): Promise<Buffer | null> {
  const refuse = (sqlstate: string, text: string): null => {
    client.socket.end(fatal(sqlstate, text));
    return null;
  };
  const { major, minor, role, database } = startup;
  if (major !== 3)
    return refuse(
      '0A000',
      `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.${roster.major < newProtocolSince ? 0 : 2}`,
    );
  if (role === '') return refuse('28000', 'no PostgreSQL user name specified in startup packet');
  if (isPhysical(startup))
    return refuse('28000', `pg_hba.conf rejects replication connection, user "${role}", no encryption`);
  answerVersion(client, startup, roster.major);
  const key = await prove(client, role, roster, signal);
  if (key === null)
    return client.ended ? null : refuse('28P01', `password authentication failed for user "${role}"`);
  // A name with other letters may be written in another encoding there.
  if (!roster.databases.has(database) && /^[\x20-\x7E]*$/.test(database))
    return refuse('3D000', `database "${database}" does not exist`);
  return key;
}

function answerVersion(client: Channel, startup: Startup, serverMajor: number): void {
  const newest = serverMajor < newProtocolSince ? 0 : 2;
  const options = protocolOptions(startup);
  if (startup.minor <= newest && options.length === 0) return;
  client.socket.write(negotiateVersion(newest === 0 ? protocol30 : protocol32, options));
}

/** One exchange of SCRAM-SHA-256. A role that cannot log in goes through all of it, too. */
async function prove(
  client: Channel,
  role: string,
  roster: Roster,
  signal: AbortSignal,
): Promise<Buffer | null> {
  const known = verifierOf(roster, role, Date.now());
  const verifier = known ?? mockVerifier(role, secret);
  client.socket.write(saslRequest(mechanism));
  const first = await client.next(false, signal, proofBytes);
  const initial = first?.type === 'p' ? readSaslInitial(first.body) : null;
  const begun = initial?.mechanism === mechanism ? readClientFirst(initial.text) : null;
  if (begun === null) return null;
  const answer = serverFirst(begun.nonce, verifier);
  client.socket.write(saslContinue(answer));
  const last = await client.next(false, signal, proofBytes);
  if (last?.type !== 'p') return null;
  const before = { clientFirstBare: begun.bare, serverFirst: answer };
  const exchange = readClientFinal(last.body.toString('utf8'), before);
  const key = exchange === null || known === null ? null : clientKeyOf(exchange, verifier);
  if (exchange === null || key === null) return null;
  client.socket.write(saslFinal(serverFinal(exchange, verifier)));
  return key;
}
