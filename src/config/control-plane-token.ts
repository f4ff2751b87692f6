import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { givenFile, isFile, readToEnd } from './given-files.ts';

const maxBytes = 64 * 1024;
const limitMs = 10_000;

/** Tokens of pipes, which can be read only once, by path. */
const readOnce = new Map<string, Secret>();

/** The token for the control plane: from the file when there is one, otherwise from the environment; empty without either.
 *  A pipe has ten seconds to end.
 *  @throws ComputeError `config_unreadable`; AbortError */
export async function controlPlaneToken(
  file: string | null,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Secret> {
  if (file === null) return new Secret(env['NEON_CONTROL_PLANE_TOKEN'] ?? '');
  const known = readOnce.get(file);
  if (known !== undefined) return known;
  const tokenOf = async (fd: number): Promise<Secret> => {
    const token = tokenIn(
      await withDeadline('reading it', limitMs, signal, (s) => readToEnd(fd, maxBytes, s)),
    );
    if (!(await isFile(fd))) readOnce.set(file, token);
    return token;
  };
  try {
    const given = givenFile(file);
    if (given !== null) return await tokenOf(given);
    // A pipe that nobody writes to must not hold a thread: the process could not exit then.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return await tokenOf(handle.fd);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw new ComputeError('config_unreadable', `could not read the control plane's token from ${file}`, {
      cause,
      hint: 'check --control-plane-token-file',
    });
  }
}

function tokenIn(text: string): Secret {
  const token = text.trim();
  // What a header cannot hold would be in the message of the refusal.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('it is not one word of printable characters');
  return new Secret(token);
}
