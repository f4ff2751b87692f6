import { type Socket, connect } from 'node:net';
import { alarm } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { type PgTarget, describeTarget } from '../pg/target.ts';
import { cstring, message } from '../wire/messages.ts';

export type ProbePhase = 'connect' | 'query';

export interface ProbeOptions {
  readonly applicationName: string;
  readonly limitsMs: Readonly<Record<ProbePhase, number>>;
  /** Hears of the second phase when the log-in is over. */
  readonly onPhase: (phase: ProbePhase) => void;
  readonly signal: AbortSignal;
}

const version = Buffer.from([0, 3, 0, 0]);
/** The query and the goodbye: the server answers the one, then takes the other. */
const question = Buffer.concat([message('Q', cstring('SELECT 1')), message('X')]);
/** A server that sends more than this in answer to SELECT 1 is none. */
const mostBytes = 65_536;

/** Logs in anew, asks `SELECT 1` and hangs up; what is done every second must cost little, and the driver takes twice as long.
 *  @returns `password` when the server wants one, which is left to the driver; `answered` otherwise
 *  @throws ComputeError that names the server, cause: the error of the system, or that of the server with its SQLSTATE in `code` */
export function probe(target: PgTarget, options: ProbeOptions): Promise<'answered' | 'password'> {
  const { applicationName, limitsMs, onPhase, signal } = options;
  return new Promise((resolve, reject) => {
    const socket = open(target);
    let phase: ProbePhase = 'connect';
    let received: Buffer = Buffer.alloc(0);
    const late = (): void => fail(new Error('timeout expired'));
    let cancel = alarm(limitsMs.connect, late);
    const onAbort = (): void => fail(signal.reason);
    const close = (): void => {
      cancel();
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
    };
    const fail = (cause: unknown): void => {
      close();
      const what = phase === 'connect' ? 'could not connect to' : 'no answer from';
      reject(new ComputeError('sql', `${what} ${describeTarget(target)}`, { cause }));
    };
    const done = (result: 'answered' | 'password'): void => {
      close();
      resolve(result);
    };
    /** True when there is nothing more to wait for. */
    const take = (type: string, body: Buffer): boolean => {
      if (type === 'E') fail(serverError(body));
      else if (type === 'R' && body.readUInt32BE(0) !== 0) done('password');
      else if (type === 'Z' && phase === 'query') done('answered');
      else if (type === 'Z') {
        phase = 'query';
        onPhase(phase);
        cancel();
        cancel = alarm(limitsMs.query, late);
        socket.write(question);
        return false;
      } else return false;
      return true;
    };
    socket.on('error', fail);
    socket.on('end', () => fail(new Error('the connection was closed')));
    socket.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      try {
        for (let length = frame(received); length !== null; length = frame(received)) {
          const [type, body] = [String.fromCharCode(received[0] ?? 0), received.subarray(5, length)];
          received = received.subarray(length);
          if (take(type, body)) return;
        }
      } catch (error) {
        fail(error);
      }
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else socket.write(startup(target, applicationName));
  });
}

const open = ({ host, port }: PgTarget): Socket =>
  host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect({ host, port, noDelay: true });

function startup(target: PgTarget, applicationName: string): Buffer {
  const { user, database, options } = target;
  const parameters = {
    user,
    database,
    application_name: applicationName,
    ...(options !== '' && { options }),
  };
  const body = Buffer.concat([version, ...Object.entries(parameters).flat().map(cstring), Buffer.from([0])]);
  return message('Q', body).subarray(1); // the one message without a type
}

/** Length of the first message, type and length included; null while it is incomplete. */
function frame(bytes: Buffer): number | null {
  if (bytes.length < 5) return null;
  const length = bytes.readUInt32BE(1) + 1;
  if (length < 5 || length > mostBytes) throw new Error('this is no PostgreSQL server');
  return bytes.length < length ? null : length;
}

/** @see https://www.postgresql.org/docs/current/protocol-error-fields.html */
function serverError(body: Buffer): Error {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)] as const),
  );
  return Object.assign(new Error(fields.get('M') ?? 'unknown error'), { code: fields.get('C') });
}
