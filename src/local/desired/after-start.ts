import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writerIn } from './running.ts';
import type { LocalDir, LocalState } from '../state.ts';
import type { Report } from '../report.ts';
import { readAccepted } from './accepted.ts';
import { computeStatus } from '../compute-api.ts';
import { changeText, keyOf, objectText } from './change.ts';
import { diff } from './diff.ts';
import { fileName } from './names.ts';
import { installExtensions } from './install.ts';
import { observe } from './observe.ts';
import { refusalOf } from './configure.ts';

/** Installs the wanted extensions that a start has not brought: they are in the data, and not in a spec. What fails is reported, as
 *  is a database that the start could not create, and the compute runs without it. Says so, too, when the compute.json in the directory was not applied. */
export async function afterStart(
  dir: LocalDir,
  state: LocalState,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const tell = (event: string, what: string, reason: string, hint: string | null): void =>
    report.event(
      event,
      { what, reason, hint },
      `${what}: FAILED: ${reason}${hint === null ? '' : `\nHint: ${hint}`}`,
    );
  const failed = (what: string, reason: string, hint: string | null): void =>
    tell('extension-failed', what, reason, hint);
  try {
    const wanted = readAccepted(dir);
    if (existsSync(join(dir.root, fileName))) {
      const { tellNotApplied } = await import('./not-applied.ts');
      tellNotApplied(dir, wanted, report);
    }
    // A database that cannot be created does not keep the compute from starting.
    const { failed_databases: databases = [] } =
      wanted === null ? {} : ((await computeStatus(state, signal)) ?? {});
    for (const { name, error, hint } of databases)
      tell('database-failed', objectText({ kind: 'database', name, database: null }), error, hint);
    const writer = wanted === null || wanted.extensions.length === 0 ? null : writerIn(dir);
    // A replica has what its primary has.
    if (wanted === null || writer?.state.computeId !== state.computeId) return;
    const observed = await observe(writer.socket, wanted, signal);
    const lacking = (database: string | null): boolean =>
      databases.some(({ name }) => name === database && !observed.databases.has(name));
    const changes = diff(wanted, wanted, observed).changes.filter(
      ({ kind, database }) => kind === 'extension' && !lacking(database),
    );
    if (changes.length === 0) return;
    report.progress('Installing extensions ...', '');
    const failures = await installExtensions(state, changes, observed, signal);
    for (const change of changes) {
      const failure = failures.get(keyOf(change));
      if (failure !== undefined) failed(changeText(change), failure.reason, failure.hint);
    }
  } catch (error) {
    signal.throwIfAborted();
    const { reason, hint } = refusalOf(error);
    failed('extensions of compute.json', reason, hint);
  }
}
