import type { Queue } from '../../core/queue.ts';
import type { Encryption } from './encryption.ts';
import type { Roster } from './roster.ts';

/** What a session needs of the front. */
export interface House<Session> {
  /** The socket of Postgres. */
  readonly server: { readonly dir: string; readonly port: number };
  /** Null: none. */
  readonly encryption: Encryption | null;
  /** Who may log in. Null while Postgres runs, and checks that itself. */
  readonly roster: Roster | null;
  readonly isAwake: boolean;
  /** Resolves once it is known whether Postgres goes on, when it is about to be stopped. */
  decided(signal: AbortSignal): Promise<void>;
  /** The superuser, who can log in only on the socket. */
  readonly superuser: string;
  /** Log-ins of clients that were checked before: a thousand at once would only be in each other's way. */
  readonly logIns: Queue;
  /** Resolves when Postgres runs, which this starts. @throws ComputeError `deadline` */
  wake(who: string, signal: AbortSignal): Promise<void>;
  cancel(key: Buffer): Promise<void>;
  /** A client has logged in, sent something or got an answer. */
  used(session: Session): void;
  closed(session: Session): void;
}
