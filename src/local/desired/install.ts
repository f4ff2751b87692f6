import { ComputeHttpError } from '../../client/http.ts';
import { InternalClient } from '../../client/internal.ts';
import { explained } from '../../core/errors.ts';
import type { LocalState } from '../state.ts';
import { type Change, keyOf } from './change.ts';
import type { Observed } from './observe.ts';
import type { Failure } from './outcome.ts';
import { installHint } from './packages.ts';

/** Installs extensions through compute_ctl, one after the other: one may need another.
 *  @param changes those of extensions
 *  @returns what failed, by key */
export async function installExtensions(
  state: LocalState,
  changes: readonly Change[],
  { available, major }: Pick<Observed, 'available' | 'major'>,
  signal: AbortSignal,
): Promise<Map<string, Failure>> {
  const client = new InternalClient({ url: `http://127.0.0.1:${state.ports.internalHttp}`, retries: 0 });
  let left = changes.filter(({ kind }) => kind === 'extension');
  const failures = new Map<string, Failure>();
  // One that needs another one comes after it in a second round, so that the order in the file does not matter.
  for (let before = Infinity; left.length > 0 && left.length < before;) {
    before = left.length;
    const failed: Change[] = [];
    for (const change of left) {
      const { name, database, to } = change;
      const version = to ?? available.get(name);
      if (version === undefined || database === null) {
        failures.set(keyOf(change), notInstalled(name, major));
        continue;
      }
      try {
        await client.installExtension({ extension: name, database, version }, { signal });
        failures.delete(keyOf(change));
      } catch (error) {
        signal.throwIfAborted();
        failures.set(keyOf(change), failureOf(error));
        failed.push(change);
      }
    }
    left = failed;
  }
  return failures;
}

const notInstalled = (name: string, major: number): Failure => ({
  reason: `the extension ${JSON.stringify(name)} is not installed on this machine`,
  hint: installHint(name, major),
});

function failureOf(error: unknown): Failure {
  const reason = error instanceof ComputeHttpError ? error.message : explained(error);
  const [, needed] = /required extension "([^"]+)" is not installed/.exec(reason) ?? [];
  if (needed !== undefined)
    return { reason, hint: `add "${needed}" to the extensions of compute.json, for the same databases` };
  // In PostgreSQL's own words; other failures have other causes.
  const isPreload = /shared_preload_libraries|must be loaded|unrecognized configuration parameter/.test(
    reason,
  );
  return { reason, hint: isPreload ? 'restart Postgres: compute-local apply --restart' : null };
}
