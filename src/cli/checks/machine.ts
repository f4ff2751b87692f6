import { existsSync, lstatSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { listen } from '../../http/listen.ts';
import type { Options } from '../../config/options.ts';
import { canonicalPath } from '../../postgres/path.ts';
import { checkWipeable } from '../../postgres/prepare.ts';
import { serverSetting } from '../../postgres/server-setting.ts';
import { usesTls } from '../../postgres/conf.ts';
import { type TlsFiles, readPair } from '../../postgres/tls.ts';
import type { Settings } from '../../services/settings.ts';
import { caveatOf, judgeValidity } from '../../services/tls/judge.ts';
import type { ResolvedSpec } from '../../spec/resolve.ts';
import { type Findings, errors, findingOf, together, tried, unchecked, warnings } from './finding.ts';

/** The files that a start reads are there and usable. */
export async function checkFiles(spec: ResolvedSpec | null, settings: Settings): Promise<Findings> {
  const { tls, vm } = settings;
  const programs = [
    ...(vm.resizeSwap && (spec?.spec.swap_size_bytes ?? null) !== null ? ['resize-swap'] : []),
    ...(vm.quotaMountpoint !== null && (spec?.spec.disk_quota_bytes ?? null) !== null
      ? ['set-disk-quota']
      : []),
  ].map((name) => join(vm.toolsDir, name));
  const missing = programs.filter((path) => !existsSync(path));
  const pair = tls === null ? errors() : await checkPair(tls);
  // Without the feature nobody reads them yet.
  const needed = spec !== null && usesTls(spec.spec, true);
  return together([
    needed ? pair : warnings(...pair.errors, ...pair.warnings),
    // A start that finds no resize-swap goes on: the program removes itself.
    warnings(...missing.map((path) => ({ text: `there is no program ${path}` }))),
  ]);
}

/** A start without a usable pair goes on, without TLS: then clients that require it cannot use the compute. */
async function checkPair(files: TlsFiles): Promise<Findings> {
  try {
    const pair = await readPair(files);
    const found = [judgeValidity(pair, Date.now())?.error ?? null, caveatOf(pair)];
    return warnings(...found.filter((text) => text !== null).map((text) => ({ text })));
  } catch (error) {
    return errors(findingOf(error));
  }
}

/** A start may wipe the data directory.
 *  @param byRoot whether this program was started by root: such a start hands over an empty directory of root */
export async function checkDataDirectory(
  { pgdata, wipeForeignPgdata }: Options,
  byRoot: boolean,
): Promise<Findings> {
  if (pgdata === null) return errors();
  const owner = lstatSync(pgdata, { throwIfNoEntry: false })?.uid;
  if (byRoot && owner === 0) return unchecked(`the data directory ${pgdata}, which belongs to root`);
  try {
    return await tried(async () =>
      checkWipeable(await canonicalPath(pgdata), { wipeForeign: wipeForeignPgdata }),
    );
  } catch (error) {
    const what = `the data directory ${pgdata} cannot be used`;
    return errors(findingOf(new ComputeError('pgdata_refused', what, { cause: error })));
  }
}

const defaultPort = '5432';

const portOf = ({ spec }: ResolvedSpec): number => Number(serverSetting(spec, 'port') ?? defaultPort);

/** Postgres will listen where `--connstr` says that it does. */
export function checkConnstrPort(spec: ResolvedSpec, options: Options, settings: Settings): Findings {
  const { port } = settings.target;
  const own = portOf(spec);
  // A file that is included may have the port.
  const elsewhere = /^\s*include/im.test(spec.spec.cluster.postgresql_conf?.reveal() ?? '');
  if (options.connstr === null || own === port || elsewhere) return errors();
  return errors({
    text: `Postgres will listen at port ${own}, and --connstr names port ${port}`,
    hint: 'give both the same port: the setting "port" of the spec, and --connstr',
  });
}

/** The ports are free at this moment. */
export async function checkPorts(spec: ResolvedSpec | null, options: Options): Promise<Findings> {
  const addresses = spec === null ? [] : addressesOf(spec);
  return together([
    await free('the external HTTP server', '::', options.externalHttpPort),
    await free('the internal HTTP server', 'localhost', options.internalHttpPort),
    ...(spec === null
      ? []
      : await Promise.all(addresses.map((host) => free('Postgres', host, portOf(spec))))),
  ]);
}

/** Where Postgres listens: `*` is every address. Names are left out, since they may have several addresses. */
function addressesOf({ spec }: ResolvedSpec): string[] {
  const given = serverSetting(spec, 'listen_addresses') ?? 'localhost';
  const hosts = given.split(',').map((host) => host.trim());
  return hosts
    .map((host) => (host === '*' ? '::' : host))
    .filter((host) => host === 'localhost' || /^[\d.]+$|:/.test(host));
}

const free = (what: string, host: string, port: number): Promise<Findings> =>
  tried(async () => {
    if (!(port >= 1 && port <= 65_535))
      throw new ComputeError('port', `${what}: ${port} is not the number of a port`);
    const { servers } = await listen(what, host, port, () => createServer());
    for (const server of servers) server.close();
  });
