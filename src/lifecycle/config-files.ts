import { join } from 'node:path';
import type { Log } from '../core/log.ts';
import { readStrictOvercommit, renderConf, usesTls } from '../postgres/conf.ts';
import { copyTlsPair } from '../postgres/tls.ts';
import { writeAtomically } from '../process/files.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { confLines } from '../services/index.ts';
import type { Settings } from '../services/settings.ts';

const tlsPairMs = 30_000;

/** Writes `postgresql.conf`, and the TLS key and certificate where TLS is used, each file atomically.
 *  @param subscriptionsDropped true: subscribers may run again */
export async function writeConfigFiles(
  settings: Settings,
  spec: ResolvedSpec,
  options: { readonly pgdata: string; readonly subscriptionsDropped: boolean; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { pgdata, log, subscriptionsDropped } = options;
  const { tls } = settings;
  if (tls !== null && usesTls(spec.spec, true)) {
    await copyTlsPair(tls, pgdata, { limitMs: tlsPairMs, log }, signal);
  }
  const { text, notes } = renderConf(spec, {
    internalHttpPort: settings.internalHttpPort,
    privilegedRole: settings.privilegedRole,
    tls: tls !== null,
    strictOvercommit: await readStrictOvercommit(),
    lakebase: settings.lakebase,
    serviceLines: confLines(spec, settings),
    subscriptionsDropped: subscriptionsDropped || spec.spec.skip_pg_catalog_updates,
  });
  for (const note of notes) log.warn(note);
  writeAtomically(join(pgdata, 'postgresql.conf'), text, {});
}
