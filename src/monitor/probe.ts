import type { BackendMessage } from 'pg-protocol/dist/messages.js';
import { alarm, raceAbort } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { ServerFrames } from '../pg/server-frames.ts';
import { openSocket } from '../pg/socket.ts';
import { type PgTarget, describeTarget } from '../pg/target.ts';

export type ProbePhase = 'connect' | 'query';

export interface ProbeOptions {
  readonly applicationName: string;
  readonly limitsMs: Readonly<Record<ProbePhase, number>>;
  /** Called with the second phase after the login. */
  readonly onPhase: (phase: ProbePhase) => void;
  readonly signal: AbortSignal;
}

/** No PostgreSQL server sends more in answer to a log-in and `SELECT 1`. */
const limits = { messageBytes: 65_536, loginBytes: 65_536, answerBytes: 262_144 };

type Answer = 'answered' | 'password';

/** Logs in on a new connection, sends `SELECT 1` and disconnects. It runs every second, so it must be cheap: the driver
 *  would take 1.5 times as long.
 *  @returns `password` when the server requires one, which only the driver supports; `answered` otherwise
 *  @throws ComputeError that names the server; cause: the system's error, or the server's with its SQLSTATE in `code` */
export async function probe(target: PgTarget, options: ProbeOptions): Promise<Answer> {
  const { limitsMs, onPhase, signal } = options;
  const ended = new AbortController();
  const late = (): void => ended.abort(new Error('timeout expired'));
  const onAbort = (): void => ended.abort(signal.reason);
  let phase: ProbePhase = 'connect';
  let cancel = alarm(limitsMs.connect, late);
  const loggedIn = (): void => {
    cancel();
    cancel = alarm(limitsMs.query, late);
    phase = 'query';
    onPhase(phase);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await raceAbort(ask(target, options.applicationName, loggedIn, ended.signal), ended.signal);
  } catch (cause) {
    const what = phase === 'connect' ? 'could not connect to' : 'no answer from';
    throw new ComputeError('sql', `${what} ${describeTarget(target)}`, { cause });
  } finally {
    cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

async function ask(
  target: PgTarget,
  applicationName: string,
  onReady: () => void,
  signal: AbortSignal,
): Promise<Answer> {
  const [{ serialize }, { Parser }] = await Promise.all([
    import('pg-protocol/dist/serializer.js'),
    import('pg-protocol/dist/parser.js'),
  ]);
  const socket = await openSocket(target, signal);
  let ready = false;
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const frames = new ServerFrames(limits);
      const parser = new Parser();
      const take = (message: BackendMessage): void => {
        if (message instanceof Error) throw message;
        if (message.name !== 'authenticationOk' && message.name.startsWith('authentication'))
          resolve('password');
        if (message.name !== 'readyForQuery') return;
        if (ready) return resolve('answered');
        ready = true;
        onReady();
        // Query and Terminate in one write: the server answers the query, then reads Terminate.
        socket.write(Buffer.concat([serialize.query('SELECT 1'), serialize.end()]));
      };
      socket.on('error', reject).on('data', (chunk: Buffer) => {
        try {
          for (const messages of frames.push(chunk)) parser.parse(messages, take);
        } catch (error) {
          reject(error);
        }
      });
      socket.write(serialize.startup(startup(target, applicationName)));
    });
  } finally {
    socket.destroy();
  }
}

const startup = ({ user, database, options }: PgTarget, name: string): Record<string, string> => ({
  user,
  database,
  application_name: name,
  ...(options !== '' && { options }),
});
