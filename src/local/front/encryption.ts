import { constants } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type * as Tls from 'node:tls';
import { explained } from '../../core/errors.ts';
import { type TlsFiles, type TlsPair, readPair } from '../../postgres/tls.ts';
import type { Channel } from './channel.ts';
import { caveatOf, describe, judgeValidity } from '../../services/tls/judge.ts';

/** What PostgreSQL calls its protocol in TLS. A client that begins with TLS must say it.
 *  @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
const protocol = 'postgresql';

/** As PostgreSQL has it: a session is neither resumed nor negotiated anew. */
const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET;

/** The TLS of the front, with the pair that is in the files at the time. */
export class Encryption {
  readonly #files: TlsFiles;
  readonly #tls: typeof Tls;
  readonly #tell: (text: string) => void;
  #stamp: string;
  #context: Tls.SecureContext;
  #pair: TlsPair;
  /** The latest line that was told. */
  #told = '';

  private constructor(
    files: TlsFiles,
    tls: typeof Tls,
    first: { readonly stamp: string; readonly pair: TlsPair },
    tell: (text: string) => void,
  ) {
    this.#files = files;
    this.#tls = tls;
    this.#tell = tell;
    this.#stamp = first.stamp;
    this.#pair = first.pair;
    this.#context = this.#contextOf(first.pair);
  }

  /** @param tell says what is wrong with the certificate, one line at a time
   *  @throws ComputeError `tls` that names the file and the fault */
  static async open(files: TlsFiles, tell: (text: string) => void): Promise<Encryption> {
    const tls = await import('node:tls');
    const stamp = await stampOf(files);
    const opened = new Encryption(files, tls, { stamp, pair: await readPair(files) }, tell);
    opened.#say(opened.#judge());
    return opened;
  }

  /** For people. */
  get described(): string {
    return describe(this.#pair);
  }

  /** Puts TLS around the connection of a client.
   *  @returns whether the client has said that it speaks PostgreSQL's protocol; known once its first bytes have come */
  async around(client: Channel): Promise<() => boolean> {
    await this.#refresh();
    const socket = client.encrypt(
      (plain) =>
        new this.#tls.TLSSocket(plain, {
          isServer: true,
          secureContext: this.#context,
          ALPNProtocols: [protocol],
        }),
    );
    return () => socket.alpnProtocol === protocol;
  }

  /** A renewed pair is taken with the next connection. One that cannot be used is told once and tried again with each, and the earlier
   *  one stays. */
  async #refresh(): Promise<void> {
    const stamp = await stampOf(this.#files);
    if (stamp === this.#stamp) return this.#say(this.#judge());
    try {
      const pair = await readPair(this.#files);
      this.#context = this.#contextOf(pair);
      [this.#pair, this.#stamp] = [pair, stamp];
      this.#say(this.#judge());
    } catch (error) {
      this.#say(`${explained(error)}: the earlier one stays in use (${describe(this.#pair)})`);
    }
  }

  /** Tells what was not told last. */
  #say(text: string | null): void {
    if (text !== null && text !== this.#told) this.#tell(text);
    this.#told = text ?? '';
  }

  #contextOf({ key, cert }: TlsPair): Tls.SecureContext {
    return this.#tls.createSecureContext({
      key: key.reveal(),
      cert,
      minVersion: 'TLSv1.2',
      secureOptions,
      // Without it, Node reads the certificates of all issuers that it knows.
      ca: [],
    });
  }

  /** What clients will run into by now; null: nothing. */
  #judge(): string | null {
    return judgeValidity(this.#pair, Date.now())?.error ?? caveatOf(this.#pair);
  }
}

/** Changes with either file. */
async function stampOf({ keyPath, certPath }: TlsFiles): Promise<string> {
  const parts = await Promise.all(
    [keyPath, certPath].map((path) =>
      stat(path).then(
        ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`,
        () => 'missing',
      ),
    ),
  );
  return parts.join(', ');
}
