import type { Encryption } from './encryption.ts';
import type { Client } from './ignored.ts';

export interface FrontOptions {
  /** Null: all addresses. */
  readonly host: string | null;
  readonly port: number;
  /** The socket of Postgres. */
  readonly server: { readonly dir: string; readonly port: number };
  readonly superuser: string;
  readonly ignored: (client: Client) => boolean;
  /** Null or left out: none. */
  readonly encryption?: Encryption | null;
  /** How long a client waits for a start; 60 s when left out. */
  readonly wakeMs?: number;
}
