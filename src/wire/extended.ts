import type { Frame } from './frames.ts';
import { type WireHandlers, runStatement } from './handlers.ts';
import * as wire from './messages.ts';
import type { WireSession } from './session.ts';

/** Parse, Bind, Describe, Execute, Close and Sync: enough for drivers that use the extended protocol for all statements.
 *  Statements have no parameters. Execute returns all rows; its row limit is ignored.
 *  @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY */
export class ExtendedProtocol {
  readonly #session: WireSession;
  readonly #handlers: WireHandlers;
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, string>();
  /** After an error all messages up to the next Sync are ignored. */
  #skipping = false;

  constructor(session: WireSession, handlers: WireHandlers) {
    this.#session = session;
    this.#handlers = handlers;
  }

  /** @throws ProtocolError for a message that is not allowed here */
  async handle(frame: Frame): Promise<void> {
    if (frame.type === 'S') {
      this.#skipping = false;
      this.#portals.clear();
      await this.#session.send(wire.readyForQuery());
      return;
    }
    if (this.#skipping) return;
    this.#session.begin(true);
    try {
      await this.#step(frame);
    } catch (error) {
      if (!(error instanceof wire.WireError)) throw error;
      await this.#session.error(error.sqlstate, error.message);
    }
    this.#skipping = this.#session.failed;
  }

  async #step({ type, body }: Frame): Promise<void> {
    switch (type) {
      case 'P':
        return this.#parse(body);
      case 'B':
        return this.#bind(body);
      case 'D':
        return this.#describe(body);
      case 'E':
        return runStatement(this.#session, this.#handlers, this.#named(this.#portals, body, 0, 'portal'));
      case 'C': {
        const [name] = wire.readCString(body, 1);
        (body[0] === 0x53 ? this.#statements : this.#portals).delete(name);
        return this.#session.send(wire.closeComplete());
      }
      case 'H':
      case 'd':
      case 'c':
      case 'f':
        // Flush: all answers are sent at once anyway. Late copy messages are ignored, as in PostgreSQL.
        return;
      default:
        throw new wire.ProtocolError(`message ${type} here`);
    }
  }

  async #parse(body: Buffer): Promise<void> {
    const [name, at] = wire.readCString(body, 0);
    const [text] = wire.readCString(body, at);
    // A client must not fill the memory with statements that it never closes.
    if (this.#statements.size >= 1000 && !this.#statements.has(name)) {
      throw new wire.WireError('54000', 'too many prepared statements');
    }
    this.#statements.set(name, text);
    await this.#session.send(wire.parseComplete());
  }

  async #bind(body: Buffer): Promise<void> {
    const [portal, at] = wire.readCString(body, 0);
    this.#portals.clear();
    this.#portals.set(portal, this.#named(this.#statements, body, at, 'prepared statement'));
    await this.#session.send(wire.bindComplete());
  }

  async #describe(body: Buffer): Promise<void> {
    const statement = body[0] === 0x53;
    const text = statement
      ? this.#named(this.#statements, body, 1, 'prepared statement')
      : this.#named(this.#portals, body, 1, 'portal');
    const columns = this.#handlers.columns?.(text) ?? null;
    if (statement) await this.#session.send(wire.parameterDescription());
    await this.#session.send(columns === null ? wire.noData() : wire.rowDescription(columns));
  }

  #named(from: ReadonlyMap<string, string>, body: Buffer, at: number, what: string): string {
    const [name] = wire.readCString(body, at);
    const found = from.get(name);
    if (found === undefined) throw new wire.WireError('26000', `${what} "${name}" does not exist`);
    return found;
  }
}
