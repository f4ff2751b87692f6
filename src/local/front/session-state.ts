import { createHash } from 'node:crypto';
import type { Channel, Packet } from './channel.ts';
import type { Conversation, Hidden } from './conversation.ts';
import { bind, close, describe, execute, ownStatement, parse, readRow } from './extended.ts';
import { message } from '../../wire/messages.ts';
import { sync } from './messages.ts';
import { look } from './session-look.ts';

/** What a session needs to go on in another server process. */
export interface Snapshot {
  /** Parameters that the session has set: name and value, in its encoding. */
  readonly settings: readonly (readonly [Buffer, Buffer])[];
  readonly statements: readonly KeptStatement[];
}

interface KeptStatement {
  readonly name: string;
  readonly parse: Buffer;
  /** A digest of what its parameters and its result are. */
  readonly shape: string;
}

/** What cannot be taken over, in words for people. */
export interface State {
  readonly holds: readonly string[];
}

const hiddenWords: Readonly<Record<Hidden, string>> = {
  settings: 'parameters of an application (set_config, SET of a name with a dot, DO or CALL)',
  backup: 'pg_backup_start',
  library: 'LOAD',
  connections: 'connections of dblink',
  statements: 'prepared statements that are too long to be kept',
};

const setOne = 'select pg_catalog.set_config($1, $2, false)';

/** Asks a session that is idle, through its own connection, what it would lose. Its unnamed statement stays.
 *  @param role that has logged in
 *  @param aside for what Postgres says by itself meanwhile
 *  @returns what it takes to go on, or what stands in the way
 *  @throws ProtocolError; AbortError; Error when Postgres does not answer as expected */
export async function inspect(
  server: Channel,
  talk: Conversation,
  role: string,
  aside: (packet: Packet) => void,
  signal: AbortSignal,
): Promise<Snapshot | State> {
  const asked = await ask(
    server,
    [parse(ownStatement, look), bind(ownStatement, []), execute(), close(ownStatement)],
    aside,
    signal,
  );
  if (failed(asked)) return { holds: ['state that could not be read'] };
  const rows = asked.filter(({ type }) => type === 'D').map(({ body }) => readRow(body));
  const of = (kind: string): (readonly [Buffer, Buffer])[] =>
    rows
      .filter(([first]) => first?.toString() === kind)
      .map(([, name, value]) => [name ?? Buffer.alloc(0), value ?? Buffer.alloc(0)] as const);
  const holds = [
    ...of('state').map(([name]) => name.toString()),
    ...[...talk.hidden].map((each) => hiddenWords[each]),
    ...(of('user').some(([name]) => name.toString() === role) ? [] : ['SET SESSION AUTHORIZATION']),
    ...(rows.filter(([first]) => first?.toString() === 'prepared').every((row) => isKept(talk, row))
      ? []
      : ['prepared statements']),
  ];
  if (holds.length > 0) return { holds };
  const statements = await describeAll(
    server,
    talk,
    of('prepared').map(([name]) => bytes(name)),
    aside,
    signal,
  );
  return statements === null
    ? { holds: ['prepared statements that are not valid any more'] }
    : { settings: of('setting'), statements };
}

/** Whether a prepared statement is the one that the client sent last under that name: Postgres may have refused a later one. */
function isKept({ statements }: Conversation, [, name, fromSql, text]: readonly (Buffer | null)[]): boolean {
  const parse = name === null || name === undefined ? undefined : statements.get(bytes(name));
  if (parse === undefined || fromSql?.toString() === 'true') return false;
  const begin = parse.indexOf(0) + 1;
  return text?.equals(parse.subarray(begin, parse.indexOf(0, begin))) === true;
}

/** The statements that a client may still bind. The unnamed one, which Postgres does not list, is forgotten when it is not valid.
 *  @param named those that are there
 *  @returns null when one of those is not valid any more */
async function describeAll(
  server: Channel,
  { statements }: Conversation,
  named: readonly string[],
  aside: (packet: Packet) => void,
  signal: AbortSignal,
): Promise<KeptStatement[] | null> {
  const keep = (names: readonly string[], shapes: readonly string[]): KeptStatement[] =>
    names.map((name, at) => ({
      name,
      parse: statements.get(name) as Buffer,
      shape: shapes[at] as string,
    }));
  const shapes = await shapesOf(server, named, aside, signal);
  if (shapes === null) return null;
  const kept = keep(named, shapes);
  if (!statements.has('')) return kept;
  const unnamed = await shapesOf(server, [''], aside, signal);
  return unnamed === null ? kept : [...kept, ...keep([''], unnamed)];
}

/** Gives a session in a new server process what it had.
 *  @returns false when that cannot be had: then the session must end */
export async function restore(
  server: Channel,
  { settings, statements }: Snapshot,
  aside: (packet: Packet) => void,
  signal: AbortSignal,
): Promise<boolean> {
  if (settings.length > 0) {
    // The encoding first: the others are written in it.
    const first = (name: Buffer): number => (name.toString() === 'client_encoding' ? 0 : 1);
    const sorted = settings.toSorted(([a], [b]) => first(a) - first(b));
    const each = sorted.flatMap((pair) => [bind(ownStatement, pair), execute()]);
    const said = await ask(
      server,
      [parse(ownStatement, setOne), ...each, close(ownStatement)],
      aside,
      signal,
    );
    if (failed(said)) return false;
  }
  if (statements.length === 0) return true;
  const said = await ask(
    server,
    statements.map((one) => message('P', one.parse)),
    aside,
    signal,
  );
  if (failed(said)) return false;
  const names = statements.map(({ name }) => name);
  const shapes = await shapesOf(server, names, aside, signal);
  return shapes !== null && statements.every(({ shape }, at) => shapes[at] === shape);
}

const bytes = (name: Buffer): string => name.toString('latin1');
const failed = (packets: readonly Packet[]): boolean => packets.some(({ type }) => type === 'E');

/** What parameters and result of each statement are; null when one of them is not there, or not valid any more. */
async function shapesOf(
  server: Channel,
  names: readonly string[],
  aside: (packet: Packet) => void,
  signal: AbortSignal,
): Promise<string[] | null> {
  if (names.length === 0) return [];
  const said = await ask(server, names.map(describe), aside, signal);
  if (failed(said)) return null;
  const shapes: string[] = [];
  let parameters = Buffer.alloc(0);
  for (const { type, raw } of said) {
    if (type === 't') parameters = Buffer.from(raw);
    else if (type === 'T' || type === 'n')
      shapes.push(createHash('sha256').update(parameters).update(raw).digest('base64'));
  }
  return shapes.length === names.length ? shapes : null;
}

/** Sends messages and a Sync, and resolves with all that Postgres answers. */
async function ask(
  server: Channel,
  messages: readonly Buffer[],
  aside: (packet: Packet) => void,
  signal: AbortSignal,
): Promise<Packet[]> {
  server.socket.write(Buffer.concat([...messages, sync()]));
  const said: Packet[] = [];
  for (;;) {
    const packet = await server.next(false, signal);
    if (packet === null) throw new Error('Postgres closed the connection');
    if (packet.type === 'Z') return said;
    if ('SAN'.includes(packet.type)) aside(packet);
    else said.push(packet);
  }
}
