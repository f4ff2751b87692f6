import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { sleep, withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

const maxBytes = 64 * 1024;
const limitMs = 10_000;
const pauseMs = 20;

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
  try {
    // A pipe that nobody writes to must not hold a thread: the process could not exit then.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const token = new Secret(await withDeadline('reading it', limitMs, signal, (s) => readAll(handle, s)));
      if (!(await handle.stat()).isFile()) readOnce.set(file, token);
      return token;
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

async function readAll(handle: FileHandle, signal: AbortSignal): Promise<string> {
  const isFile = (await handle.stat()).isFile();
  const bytes = Buffer.alloc(maxBytes + 1);
  let length = 0;
  while (length <= maxBytes) {
    signal.throwIfAborted();
    const count = await handle.read(bytes, length, bytes.length - length, null).then(
      ({ bytesRead }) => bytesRead,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EAGAIN') return null;
        throw error;
      },
    );
    // A named pipe that nobody has opened for writing yet looks like one that has ended.
    if (count === 0 && (length > 0 || isFile)) return tokenIn(bytes.toString('utf8', 0, length));
    if (count === null || count === 0) await sleep(pauseMs, signal);
    else length += count;
  }
  throw new Error(`it is longer than ${maxBytes} bytes`);
}

function tokenIn(text: string): string {
  const token = text.trim();
  // What a header cannot hold would be in the message of the refusal.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('it is not one word of printable characters');
  return token;
}
