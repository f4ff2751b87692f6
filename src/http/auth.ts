import { ComputeError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';

/** How a client proves who it is; `none`: no authentication. */
export type Scheme = 'jwt' | 'token' | 'none';

/** Decides which requests are allowed. A server has one of these; each route defines whether it requires it. */
export interface Auth {
  readonly scheme: Scheme;
  /** Resolves when the request is allowed.
   *  @param header the value of `Authorization`
   *  @throws ComputeError `bad_token` (401), `no_token` (400), `forbidden` (403) */
  check(header: string | undefined): Promise<void>;
}

/** For a server without authentication. */
export const noAuth: Auth = { scheme: 'none', check: () => Promise.resolve() };

/** One token for all clients, compared in constant time. Everything else is `bad_token` (401). */
export const fixedToken = (token: Secret): Auth => ({
  scheme: 'token',
  check: async (header = '') => {
    const given = /^bearer +(.+)$/i.exec(header)?.[1] ?? '';
    if (!token.matches(given)) throw new ComputeError('bad_token', 'the bearer token is wrong');
  },
});
