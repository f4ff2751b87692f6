import { accessSync, constants, existsSync } from 'node:fs';
import { formatUrl } from '../../pg/libpq-write.ts';
import { startProcess } from '../../process/process.ts';
import { environmentForPsql } from '../environment.ts';
import type { Tools } from '../storage/tools.ts';
import type { LocalState } from '../state.ts';

const exitBySignal = 128;

/** Runs psql in this terminal, logged in. The password is passed in the environment, where `ps` does not show it.
 *  @param socket the directory of the Unix socket, to log in as the superuser: no password is needed there, and only the OS user
 *  of the directory can enter it; null: over TCP, as the role of the state
 *  @param settings of its sessions, as in PGOPTIONS */
export async function psql(
  state: LocalState,
  tools: Tools,
  args: readonly string[],
  { socket = null, settings = '' }: { readonly socket?: string | null; readonly settings?: string } = {},
): Promise<number> {
  const { user, password, database, ports } = state;
  const where = { port: ports.postgres, database };
  const url =
    socket === null
      ? formatUrl({ ...where, user, host: '127.0.0.1' })
      : formatUrl({ ...where, user: 'cloud_admin', host: socket });
  const own = tools.postgres.sibling('psql');
  // psql handles Ctrl-C: it cancels the statement.
  process.on('SIGINT', () => {});
  const child = await startProcess({
    command: existsSync(own) ? own : 'psql',
    args: [url, ...args],
    env: {
      ...environmentForPsql(process.env),
      ...(socket === null ? { PGPASSWORD: password } : {}),
      ...(settings === '' ? {} : { PGOPTIONS: settings }),
    },
    ...(canEnter(process.cwd()) ? {} : { cwd: '/' }),
    stdin: 'inherit',
    stdout: 'inherit',
    stderr: 'inherit',
  });
  const { code } = await child.exited;
  return code ?? exitBySignal;
}

/** False in a directory of root, once root is given up. */
function canEnter(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
