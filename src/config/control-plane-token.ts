import { ComputeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { type InputLimits, readInput } from './read-input.ts';

const limits: InputLimits = { maxBytes: 64 * 1024, limitMs: 10_000, once: 'all' };

/** The token for the control plane: from the file when there is one, otherwise from the environment; empty without either.
 *  A pipe has ten seconds to end.
 *  @throws ComputeError `config_unreadable`; AbortError */
export async function controlPlaneToken(
  file: string | null,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Secret> {
  if (file === null) return new Secret(env['NEON_CONTROL_PLANE_TOKEN'] ?? '');
  try {
    return tokenIn(await readInput(file, limits, signal));
  } catch (cause) {
    signal.throwIfAborted();
    throw new ComputeError('config_unreadable', `could not read the control plane's token from ${file}`, {
      cause,
      hint: 'check --control-plane-token-file',
    });
  }
}

function tokenIn(text: Secret): Secret {
  const token = text.reveal().trim();
  // What a header cannot hold would be in the message of the refusal.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('it is not one word of printable characters');
  return new Secret(token);
}
