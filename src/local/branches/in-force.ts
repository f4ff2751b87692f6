import { computeLocal } from '../../config/options/compute-local.ts';
import type { OptionEntry, OptionTable } from '../../config/options/entry.ts';
import { ComputeError } from '../../core/errors.ts';
import { readPhase } from '../phase.ts';
import { type LocalDir, type LocalState, commandFor } from '../state.ts';
import { type RunOptions, absolute } from './start.ts';
import type { Place } from './tree.ts';

const table: OptionTable = computeLocal.commands.start.options;

/** Whether a start would begin nothing new: one that stops is waited for. */
export const isUp = ({ upPid }: LocalDir): boolean => !['stopping', null].includes(phaseOf(upPid));

const phaseOf = (upPid: string): string | null => readPhase(upPid)?.phase ?? null;

/** What a compute runs with, by the names of the options. What an earlier version did not note is left out. */
const inForce = ({ ports, listenAll = false, keep, started }: LocalState): Record<string, unknown> => ({
  ...(started && { tlsCert: null, tlsKey: null, ...started }),
  port: ports.postgres,
  httpPort: ports.externalHttp,
  listenAll,
  keep: keep?.seconds ?? 0,
  keepAtMost: keep?.maxBytes ?? null,
});

/** The options that were given, and would have no effect without a start.
 *  @param given the names of those on the command line: variables are for the next start */
export function withoutEffect(
  state: LocalState,
  options: RunOptions,
  given: readonly string[],
): readonly OptionEntry[] {
  const now = inForce(state);
  const wanted: Readonly<Record<string, unknown>> = {
    ...options,
    pgBinDir: absolute(options.pgBinDir),
    tlsCert: absolute(options.tlsCert),
    tlsKey: absolute(options.tlsKey),
  };
  const others = given.filter((name) => name in now && now[name] !== wanted[name]);
  return others.flatMap((name) => table[name] ?? []);
}

/** @param why such as `runs already`
 *  @throws ComputeError `conflict` naming the options that would have no effect */
export function refuseWithoutEffect(
  dir: LocalDir,
  { name, state }: Pick<Place, 'name' | 'state'>,
  {
    options,
    given,
    why,
  }: { readonly options: RunOptions; readonly given: readonly string[]; readonly why: string },
): void {
  const others = withoutEffect(state, options, given);
  if (others.length === 0) return;
  const them = others.length === 1 ? 'it' : 'them';
  const again = others.map(({ flag, kind }) => (kind === 'flag' ? flag : `${flag} …`)).join(' ');
  const restart = [`stop ${name}`, `start ${name} ${again}`];
  const flags = others.map(({ flag }) => flag).join(', ');
  throw new ComputeError('conflict', `"${name}" ${why} with another ${flags}`, {
    hint: `leave ${them} out; or stop the compute, and give ${them} to its start: ${restart.map((words) => commandFor(dir, words)).join('; ')}`,
  });
}
