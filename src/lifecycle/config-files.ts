import { join } from 'node:path';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { readStrictOvercommit, renderConf, usesTls } from '../postgres/conf.ts';
import { switchLateTlsOn, tryToBring } from '../postgres/tls-placed.ts';
import { writeAtomically } from '../process/files.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { confLines } from '../services/index.ts';
import type { Settings } from '../services/settings.ts';

/** Writes `postgresql.conf`, and the TLS key and certificate where TLS is used, each file atomically. Without a usable pair TLS
 *  stays off until there is one: an outage of whoever makes certificates must not become one of the databases.
 *  @param subscriptionsDropped true: subscribers may run again */
export async function writeConfigFiles(
  settings: Settings,
  spec: ResolvedSpec,
  options: { readonly pgdata: string; readonly subscriptionsDropped: boolean; readonly log: Log },
): Promise<void> {
  const { pgdata, log, subscriptionsDropped } = options;
  const { tls } = settings;
  const strictOvercommit = await readStrictOvercommit();
  const hasTlsPair =
    tls === null ||
    !usesTls(spec.spec, true) ||
    (await tryToBring(tls, pgdata, (error) =>
      log.warn(`cannot take the TLS key and certificate of the config yet: ${explained(error)}`),
    ));
  const { text, notes } = renderConf(spec, {
    internalHttpPort: settings.internalHttpPort,
    privilegedRole: settings.privilegedRole,
    tls: tls !== null,
    hasTlsPair,
    strictOvercommit,
    lakebase: settings.lakebase,
    serviceLines: confLines(spec, settings),
    subscriptionsDropped: subscriptionsDropped || spec.spec.skip_pg_catalog_updates,
  });
  for (const note of notes) log.warn(note);
  writeAtomically(join(pgdata, 'postgresql.conf'), text, {});
}

/** The last try before Postgres starts, for a pair that was not usable when `postgresql.conf` was written. From then on the
 *  service watches the files: the start does not wait for them. */
export async function bringLateTls(
  { tls }: Settings,
  { spec }: ResolvedSpec,
  { pgdata, log }: { readonly pgdata: string; readonly log: Log },
): Promise<void> {
  if (tls === null || !usesTls(spec, true)) return;
  const has = await tryToBring(tls, pgdata, (error) =>
    log.warn(
      `Postgres starts without TLS, which will be on as soon as the files of the config can be used: ${explained(error)}`,
    ),
  );
  if (has) switchLateTlsOn(pgdata);
}
