import type { LoadedConfig } from '../config/load.ts';
import type { RunOptions } from '../config/options.ts';
import type { Log } from '../core/log.ts';
import { type JwtAuth, createJwtAuth } from '../http/jwt.ts';

export interface AuthParts {
  readonly options: RunOptions;
  readonly loaded: LoadedConfig;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
}

/** Who may call the external server. */
export function authOf({ options, loaded, log, env }: AuthParts): JwtAuth {
  const instance = env['INSTANCE_ID'] !== undefined;
  if (instance && !options.lakebaseMode)
    log.warn('INSTANCE_ID is set: it has no effect outside lakebase mode');
  return createJwtAuth({
    computeId: options.computeId,
    jwks: loaded.config.jwks,
    log,
    allowTokensWithoutExp: options.allowTokensWithoutExp,
    ...(instance && options.lakebaseMode && { switchedOffBecause: 'INSTANCE_ID is set in lakebase mode' }),
  });
}
