import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { asRole } from '../desired/login.ts';
import { socketOf } from '../names.ts';
import { psql } from '../commands/psql.ts';
import { toolsFor } from '../commands/storage.ts';
import { type LocalDir, commandFor } from '../state.ts';
import { whileAwake } from '../wake.ts';
import { view } from './view.ts';
import { homeNamed, stateNamed } from './resolve.ts';
import { isRunning } from './tree.ts';

interface PsqlOptions {
  readonly name: string | null;
  readonly pgBinDir: string | null;
  /** Null: `app`. */
  readonly role: string | null;
  /** As the superuser. */
  readonly admin: boolean;
}

/** psql in a compute, or in its data as it was: `NAME@WHEN`.
 *  @param args the name may come first; everything else is for psql
 *  @throws ComputeError `not_found`, `usage` */
export async function psqlNamed(
  dir: LocalDir,
  options: PsqlOptions,
  args: readonly string[],
  log: Log,
): Promise<number> {
  const [first = '', ...rest] = args;
  const isName = first !== '' && !first.startsWith('-');
  if (isName && options.name !== null)
    throw new ComputeError('usage', `the name is given twice: ${options.name} and ${first.slice(0, 100)}`, {
      hint: 'give it once; a user is named with -U, a database with -d',
    });
  const [name = '', ...when] = isName ? first.split('@') : [options.name ?? ''];
  const of = name === '' ? null : name;
  const given = isName ? rest : args;
  const home = homeNamed(dir, of);
  if (when.length === 0) {
    const state = stateNamed(dir, of);
    if (state.branch !== undefined && !isRunning(home))
      throw new ComputeError('conflict', `"${name}" is not running`, {
        hint: `start it with: ${commandFor(dir, `start ${name}`)}`,
      });
    const login = asRole(home, state, options.role);
    const tools = await toolsFor(home, state, options, never);
    if (!options.admin) return psql(login, tools, given);
    const socket = socketOf(home, state.branch === undefined ? of : null);
    return whileAwake(home, 'psql --admin', never, () => psql(login, tools, given, { socket }));
  }
  const { state, remove } = await view(dir, of ?? 'main', when.join('@'), options.pgBinDir, log);
  try {
    const tools = await toolsFor(home, stateNamed(dir, of), options, never);
    const settings = '-c default_transaction_read_only=on';
    return await psql(asRole(home, state, options.role), tools, given, { settings });
  } finally {
    await remove();
  }
}
