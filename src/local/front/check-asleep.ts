import { randomBytes } from 'node:crypto';
import type { Channel } from './channel.ts';
import { type Startup, protocolOptions } from './first-packet.ts';
import {
  fatal,
  negotiateVersion,
  readSaslInitial,
  saslContinue,
  saslFinal,
  saslRequest,
} from './messages.ts';
import {
  type Refusal,
  newProtocolSince,
  refusalAfter,
  refusalBefore,
  versionRefusal,
  wrongPassword,
} from './refusals.ts';
import { type Roster, isUnknown, verifierOf } from './roster.ts';
import {
  clientKeyOf,
  mechanism,
  mockVerifier,
  readClientFinal,
  readClientFirst,
  serverFinal,
  serverFirst,
} from './scram.ts';

/** Where the cluster's own cannot be read. */
const secret = randomBytes(32);
/** Of a message of the exchange, from who has proved nothing yet. */
const proofBytes = 4096;

const [protocol30, protocol32] = [3 << 16, (3 << 16) | 2];

/** Checks a client while Postgres is stopped, in Postgres's own words. Resolves with its ClientKey, with which it is logged in once
 *  Postgres runs; `refused` also when it has left: that is no reason to start anything; `undecided` before anything was said, when
 *  only Postgres knows.
 *  @throws ProtocolError; AbortError of `signal` */
export async function checkAsleep(
  client: Channel,
  startup: Startup,
  roster: Roster,
  signal: AbortSignal,
): Promise<Buffer | 'refused' | 'undecided'> {
  const refuse = ({ sqlstate, text, ...more }: Refusal): 'refused' => {
    client.socket.end(fatal(sqlstate, text, more));
    return 'refused';
  };
  const { role } = startup;
  const foreign = versionRefusal(startup, roster);
  if (foreign !== null) return refuse(foreign);
  const before = refusalBefore(startup);
  const isDecided = roster.roles.has(role) || isUnknown(role, roster.roles);
  if (before === null && !isDecided) return 'undecided';
  answerVersion(client, startup, roster.major);
  if (before !== null) return refuse(before);
  const key = await prove(client, role, roster, signal);
  if (key === null) return client.ended ? 'refused' : refuse(wrongPassword(role));
  const after = refusalAfter(startup, roster);
  return after === null ? key : refuse(after);
}

function answerVersion(client: Channel, startup: Startup, serverMajor: number): void {
  const newest = serverMajor < newProtocolSince ? 0 : 2;
  const options = protocolOptions(startup);
  if (startup.minor <= newest && options.length === 0) return;
  client.socket.write(negotiateVersion(newest === 0 ? protocol30 : protocol32, options));
}

/** One exchange of SCRAM-SHA-256. A role that no password fits goes through all of it, too. */
async function prove(
  client: Channel,
  role: string,
  roster: Roster,
  signal: AbortSignal,
): Promise<Buffer | null> {
  const known = verifierOf(roster, role, Date.now());
  const verifier = known ?? mockVerifier(role, roster.nonce ?? secret);
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
  // As much is computed for a role that is not there.
  const key = exchange === null ? null : clientKeyOf(exchange, verifier);
  if (exchange === null || key === null || known === null) return null;
  client.socket.write(saslFinal(serverFinal(exchange, verifier)));
  return key;
}
